//! Which addresses of the internet a tool may reach: those of the whole internet, and none of this house.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is refused; `None`: it belongs to the internet at large.
pub(super) fn refused(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => refused_v4(address),
        IpAddr::V6(address) => refused_v6(address),
    }
}

fn refused_v4(address: Ipv4Addr) -> Option<&'static str> {
    let [a, b, c, _] = address.octets();
    Some(match (a, b, c) {
        (0, ..) => "unspecified",
        (127, ..) => "loopback",
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => "private",
        (100, 64..=127, _) => "shared (CGNAT)",
        (169, 254, _) => "link-local",
        (192, 0, 0) => "for protocols",
        (192, 0, 2) | (198, 51, 100) | (203, 0, 113) => "documentation",
        (192, 88, 99) => "6to4 relay",
        (198, 18..=19, _) => "benchmarks",
        (224..=239, ..) => "multicast",
        (240..=255, ..) => "reserved",
        _ => return None,
    })
}

fn refused_v6(address: Ipv6Addr) -> Option<&'static str> {
    let segments = address.segments();
    let [a, b, ..] = segments;
    // What carries an address of IPv4 reaches that one.
    let carried = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    let last = carried(segments[6], segments[7]);
    Some(match segments {
        [0, 0, 0, 0, 0, 0, 0, 0] => "unspecified",
        [0, 0, 0, 0, 0, 0, 0, 1] => "loopback",
        // Mapped; and the older forms nobody should use, with the same meaning.
        [0, 0, 0, 0, 0, 0xffff, ..] => return refused_v4(last),
        [0, 0, 0, 0, ..] => "IPv4 in an old form",
        // The well-known prefix is refused with what it carries; networks choose others inside 64:ff9b:1::/48.
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => return refused_v4(last).or(Some("NAT64")),
        [0x64, 0xff9b, ..] => "NAT64",
        [0x100, 0, 0, 0, ..] => "discarded",
        [0x2001, 0..=0x1ff, ..] => "for protocols (Teredo and others)",
        [0x2001, 0xdb8, ..] => "documentation",
        [0x2002, ..] => "6to4",
        [0x3fff, 0..=0xfff, ..] => "documentation",
        [0x5f00, ..] => "segment routing",
        _ if a & 0xfe00 == 0xfc00 => "unique local",
        _ if a & 0xffc0 == 0xfe80 => "link-local",
        _ if a & 0xffc0 == 0xfec0 => "site-local",
        _ if a & 0xff00 == 0xff00 => "multicast",
        // Only 2000::/3 is given out.
        _ if a & 0xe000 != 0x2000 => "not given out",
        _ => {
            // ISATAP, whatever the prefix: an address of IPv4 behind 0:5efe.
            let is_isatap = segments[5] == 0x5efe && segments[4] & !0x0200 == 0;
            return (b != u16::MAX && is_isatap).then(|| refused_v4(last)).flatten();
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_house_are_refused_in_every_form() {
        let house = [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "127.255.255.254",
            "10.0.0.1",
            "10.255.255.255",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "169.254.169.254",
            "169.254.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "198.51.100.1",
            "203.0.113.9",
            "192.88.99.1",
            "198.18.0.1",
            "198.19.255.255",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::808:808",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:808:808::1",
            "2001::1",
            "2001:db8::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "100::1",
            "3fff::1",
            "5f00::1",
            "2a00:1450::200:5efe:127.0.0.1",
            "2a00:1450::5efe:10.0.0.1",
            "4000::1",
            "1::1",
        ];
        for text in house {
            assert!(refused(text.parse().unwrap()).is_some(), "{text}");
        }
        let internet = [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.1",
            "126.255.255.255",
            "128.0.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "169.253.1.1",
            "172.15.1.1",
            "172.32.0.1",
            "192.167.1.1",
            "198.17.1.1",
            "198.20.1.1",
            "223.255.255.254",
            "2606:4700:4700::1111",
            "2a00:1450:4001:81b::200e",
            "::ffff:8.8.8.8",
            "2001:200::1",
        ];
        for text in internet {
            assert_eq!(refused(text.parse().unwrap()), None, "{text}");
        }
    }
}
