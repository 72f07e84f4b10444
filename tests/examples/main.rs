//! The examples keep their word: each prints what its golden file beside this one says, and stays short.
//!
//! `UPDATE_GOLDEN=1 cargo test --test examples` writes the golden files anew; read the difference before you commit.

mod route_around; // a bigger example
mod store_tool; // the tool for stores that no runtime has open

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use greenroom::Clock;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

/// Far more than an example takes: whoever needs it all hangs.
const PATIENCE: Duration = Duration::from_secs(60);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A command for the example's binary, which cargo put beside this test's own.
fn example(name: &str) -> Command {
    let me = std::env::current_exe().expect("a test knows its own binary");
    let profile: PathBuf = me.ancestors().nth(2).expect("target/<profile>/deps/<test>").into();
    let binary = profile.join("examples").join(name).with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        binary.exists(),
        "{} is not built: `cargo test` builds the examples, `cargo test --test` does not (run `cargo build --examples`)",
        binary.display()
    );
    let mut command = Command::new(binary);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    let done = Clock::default().within(PATIENCE, work).await;
    done.unwrap_or_else(|| panic!("{what} was not done within {PATIENCE:?}"))
}

fn assert_golden(name: &str, seen: &str) {
    let file = root().join("tests/examples").join(name).with_extension("out");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, seen).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        golden.replace("\r\n", "\n") == seen,
        "`{name}` does not print what {} says.\n--- printed\n{seen}--- golden\n{golden}",
        file.display()
    );
}

fn assert_success(name: &str, output: &Output) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`{name}` ended with {}:\n{stderr}", output.status);
}

async fn prints_its_golden_file(name: &str) {
    let output = in_time(name, example(name).output()).await.expect("the example can be run");

    assert_success(name, &output);
    assert_golden(name, &String::from_utf8(output.stdout).expect("an example prints UTF-8"));
}

#[tokio::test]
async fn counter_prints_its_golden_file() {
    prints_its_golden_file("counter").await;
}

#[tokio::test]
async fn ask_and_tell_prints_its_golden_file() {
    prints_its_golden_file("ask_and_tell").await;
}

#[tokio::test]
async fn supervised_worker_prints_its_golden_file() {
    prints_its_golden_file("supervised_worker").await;
}

#[tokio::test]
async fn crash_and_recover_prints_its_golden_file() {
    prints_its_golden_file("crash_and_recover").await;
}

#[tokio::test]
async fn strategies_prints_its_golden_file() {
    prints_its_golden_file("strategies").await;
}

#[tokio::test]
async fn tree_prints_its_golden_file() {
    prints_its_golden_file("tree").await;
}

#[tokio::test]
async fn desk_prints_its_golden_file() {
    prints_its_golden_file("desk").await;
}

/// The pictures in the guide are those that the examples print.
#[test]
fn the_guide_to_supervision_shows_what_the_examples_print() {
    let read = |file: &str| std::fs::read_to_string(root().join(file)).expect("a text");
    let (guide, drawn) = (read("docs/supervision.md"), read("tests/examples/strategies.out"));

    assert!(guide.contains(&read("tests/examples/tree.out")), "the guide shows another tree");
    for picture in drawn.trim().split("\n\n") {
        let (title, rows) = picture.split_once('\n').expect("a title and its rows");
        assert!(guide.contains(rows), "the guide draws something else for {title}");
    }
}

/// Sends one request of its own connection; the status line and the body of the answer.
async fn request(address: &str, what: &str) -> String {
    let work = async {
        let mut stream = TcpStream::connect(address).await?;
        let request =
            format!("{what} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    let answer = in_time(what, work).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    format!("{what}: {} {body}", head.lines().next().unwrap_or_default()).trim_end().to_owned() + "\n"
}

/// Goal: each way an ask fails has its HTTP status, and the service and its actors end in order.
/// Method: the real binary on a free port, spoken to over TCP.
#[tokio::test]
async fn axum_service_answers_over_http_and_ends_in_order() {
    let name = "axum_service";
    let mut service = example(name).arg("127.0.0.1:0").spawn().expect("the example can be run");
    let mut stdout = BufReader::new(service.stdout.take().expect("a pipe"));
    let mut first = String::new();
    in_time("the first line", stdout.read_line(&mut first)).await.expect("a line");
    let address = first.trim().strip_prefix("listening on ").expect("an address").to_owned();

    let mut seen = first.replace(&address, "ADDRESS");
    for what in ["GET /price/lamp", "GET /price/unicorn", "GET /price/moon", "POST /quit"] {
        seen += &request(&address, what).await;
    }
    in_time("the rest", stdout.read_to_string(&mut seen)).await.expect("the rest of the output");
    let output = in_time("the end", service.wait_with_output()).await.expect("an exit status");

    assert_success(name, &output);
    assert_golden(name, &seen);
}

#[test]
fn every_example_is_short_and_says_how_to_run_it() {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(root().join("examples")).expect("examples") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|ending| ending != "rs") {
            continue;
        }
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("an example is text");
        let lines_max = match &*name {
            // The whole way of a ticket: model, durable state, roles, handoff, fallback.
            "desk" => 120,
            "axum_service" => 80,
            // A tree with some of everything, and a drawing.
            "tree" | "strategies" => 80,
            _ => 60,
        };

        let code = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
        let lines = code.count();

        assert!(lines <= lines_max, "examples/{name}.rs has {lines} lines of code, at most {lines_max}");
        let command = format!("//! `cargo run --example {name}");
        assert!(text.contains(&command), "examples/{name}.rs does not say `{command}`");
        names.push(name);
    }
    names.sort();
    let tested = [
        "ask_and_tell",
        "axum_service",
        "counter",
        "crash_and_recover",
        "desk",
        "strategies",
        "supervised_worker",
        "tree",
    ];
    assert_eq!(names, tested, "an example without a test of its output, or the other way round");
}
