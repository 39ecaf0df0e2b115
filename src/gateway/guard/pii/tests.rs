use super::*;

/// What is found, as `KIND(text)`.
fn check(text: &str) -> String {
    let finder = Finder::new(&Kind::ALL).unwrap();
    let show = |it: &Found| format!("{}({})", it.kind.label(), &text[it.range.clone()]);
    finder.find(text).iter().map(show).collect::<Vec<_>>().join(" ")
}

#[test]
fn addresses_of_mail() {
    assert_eq!(
        check("write to Jürgen.Groß+x@mail.example.co.uk."),
        "EMAIL(Jürgen.Groß+x@mail.example.co.uk)"
    );
    assert_eq!(check("<a@b.de>,c_d@e-f.org"), "EMAIL(a@b.de) EMAIL(c_d@e-f.org)");
    for none in ["icon@2x.png", "git@github.com:org/repo", "a @ b.de", "@name", "a@b", "x@y..z"] {
        assert_eq!(check(none), "", "{none}");
    }
}

#[test]
fn cards_have_a_brand_a_length_and_a_check_digit() {
    for number in [
        "4111 1111 1111 1111",
        "5555-5555-5555-4444",
        "378282246310005",
        "6011111111111117",
        "2223003122003222",
        "3530111333300000",
        "30569309025904",
        "6304000000000000",
    ] {
        assert_eq!(check(&format!("card {number}, please")), format!("CARD({number})"));
    }
    assert_eq!(check("4111 1111 1111 1111 12/26 123"), "CARD(4111 1111 1111 1111)");
    assert_eq!(check("no 7 4111111111111111"), "CARD(4111111111111111)");
    for none in
        ["4111 1111 1111 1112", "4111111111111111.5", "x4111111111111111", "1234567890123452"]
    {
        assert_eq!(check(none), "", "{none}");
    }
}

#[test]
fn accounts_have_the_length_of_their_country_and_check_digits() {
    for number in [
        "DE89 3704 0044 0532 0130 00",
        "GB29NWBK60161331926819",
        "FR14 2004 1010 0505 0001 3M02 606",
        "nl91abna0417164300",
        "NO93 8601 1117 947",
        "MT84MALT011000012345MTLCAST001S",
    ] {
        assert_eq!(check(&format!("pay to {number} and say so")), format!("IBAN({number})"));
    }
    for none in ["DE89 3704 0044 0532 0130 01", "GB29NWBK601613319268190", "XX89370400440532013000"]
    {
        assert!(!check(none).contains("IBAN"), "{none}");
    }
}

#[test]
fn numbers_of_persons_have_their_check_digits() {
    for number in [
        "123-45-6789",
        "AB 12 34 56 C",
        "JG103759A",
        "12345678Z",
        "X1234567L",
        "y-1234567-x",
        "RSSMRA85T10A562S",
        "1112.22.333",
        "529.982.247-25",
        "52998224725",
        "44051401359",
        "86095742719",
        "86 095 742 719",
        "2 55 08 14 168 025 38",
        "756.9217.0769.85",
    ] {
        assert_eq!(check(&format!("the number: {number}.")), format!("ID({number})"));
    }
    assert_eq!(check("SSN 123456789"), "ID(123456789)");
    assert_eq!(check("mijn BSN is 111222333"), "ID(111222333)");
    for none in [
        "000-12-3456",
        "666-12-3456",
        "123-00-4567",
        "123-45-0000",
        "BG123456A",
        "AB 12 34 56 E",
        "12345678A",
        "X1234567A",
        "RSSMRA85T10A562T",
        "1112.22.334",
        "529.982.247-26",
        "111.111.111-11",
        "44051401358",
        "123456789",
        "86095742718",
        "order 123456789",
    ] {
        assert_eq!(check(none), "", "{none}");
    }
}

#[test]
fn telephone_numbers_are_spelled_or_named() {
    for number in [
        "+49 30 901820",
        "+14155552671",
        "+44 (0)20 7946 0958",
        "(212) 555-0123",
        "212-555-0123",
        "1-800-555-0199",
        "212-555-0123 x77",
        "020 7946 0958",
        "07700 900123",
        "030/901820-11",
        "01 23 45 67 89",
        "06-12345678",
        "0049 30 901820",
        "(11) 91234-5678",
    ] {
        assert_eq!(check(&format!("It is {number}, ask for me")), format!("PHONE({number})"));
    }
    assert_eq!(check("mi teléfono: 612 345 678"), "PHONE(612 345 678)");
    assert_eq!(check("call 5551234567"), "PHONE(5551234567)");
    for none in [
        "01-02-2026 10:15",
        "2026-11-28",
        "612 345 678 pieces",
        "version 10.20.30",
        "1234567890",
        "3.14159265",
        "isbn 978-3-16-148410-0",
        "1,234,567,890",
        "10:30-11:45",
        "0.123-0.456",
    ] {
        assert_eq!(check(none), "", "{none}");
    }
}

#[test]
fn addresses_of_the_network() {
    for address in
        ["192.168.1.20", "8.8.8.8", "2001:db8::8a2e:370:7334", "fe80::1c2d", "::ffff:10.0.0.1"]
    {
        assert_eq!(check(&format!("from {address}: refused")), format!("IP({address})"));
    }
    for address in ["00:1A:2b:3c:4D:5e", "00-1A-2B-3C-4D-5E", "001a.2b3c.4d5e"] {
        assert_eq!(check(&format!("card {address}")), format!("MAC({address})"));
    }
    for none in [
        "127.0.0.1",
        "Chrome/13.0.78.0",
        "0.0.0.0",
        "256.1.1.1",
        "1.2.3.4.5",
        "v1.2.3.4",
        "a::b",
        "std::vec::Vec",
        "12:30:45",
        "ff:ff:ff:ff:ff:ff",
        "::1",
    ] {
        assert_eq!(check(none), "", "{none}");
    }
}

#[test]
fn keys_and_tokens() {
    let header = [
        "eyJhbGciOiJIUzI1NiJ9",
        "eyJzdWIiOiIxMjM0NTY3ODkwIn0",
        "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    ];
    for secret in [
        "sk-ant-api03-abcdefghijklmnopqrstuvwxyz",
        "sk-proj-abcdefghij0123456789ABCD",
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "xoxb-123456789012-abcdefGHIJKL",
        &header.join("."),
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nMIIE cut off",
    ] {
        assert_eq!(check(&format!("key={secret}")), format!("SECRET({secret})"));
    }
    for none in [
        "sk-short",
        "AKIA123",
        "eyJhbGciOiJIUzI1NiJ9",
        "-----BEGIN PUBLIC KEY-----",
        "task-force-one-two-three-four",
    ] {
        assert_eq!(check(none), "", "{none}");
    }
}

#[test]
fn any_text_is_searched_without_trouble() {
    let finder = Finder::new(&Kind::ALL).unwrap();
    let alphabet: Vec<char> = "0123456789 .:-+()@abDEé€\n".chars().collect();
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..500 {
        let text: String =
            (0..random.usize(0..60)).map(|_| alphabet[random.usize(..alphabet.len())]).collect();
        let mut end = 0;
        for found in finder.find(&text) {
            assert!(
                text.get(found.range.clone()).is_some() && found.range.start >= end,
                "{text:?}"
            );
            end = found.range.end;
        }
    }
}
