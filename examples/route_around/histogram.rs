//! Times as a line of bars: one bar for each doubling.

use crate::times::Times;

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Upper bounds of the bars but the last, in milliseconds.
pub(crate) const BOUNDS_MS: [u32; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];

/// Width of one bar and what is between.
const WIDTH: usize = 5;

/// The line of the bounds, for above the bars.
pub(crate) fn bounds() -> String {
    let bounds = BOUNDS_MS.map(|bound| format!("{:>WIDTH$}", format!("≤{bound}")));
    bounds.concat() + &format!("{:>WIDTH$}", format!(">{}", BOUNDS_MS[BOUNDS_MS.len() - 1]))
}

/// One bar for each bound. The height is the logarithm of the count: one time in a thousand can be seen.
pub(crate) fn bars(times: &Times) -> String {
    let mut counts = [0_u32; BOUNDS_MS.len() + 1];
    for micros in times.sorted_micros() {
        let at = BOUNDS_MS.iter().position(|bound| micros <= bound * 1_000).unwrap_or(BOUNDS_MS.len());
        counts[at] += 1;
    }
    let most = f64::from(counts.iter().copied().max().unwrap_or(0)).ln_1p();
    let bar = |count: u32| match count {
        0 => ' ',
        count => {
            let height = f64::from(count).ln_1p() / most * (BARS.len() - 1) as f64;
            BARS[height.round() as usize]
        }
    };
    counts.map(|count| format!("{:>WIDTH$}", bar(count).to_string().repeat(WIDTH - 2))).concat()
}
