//! What is sealed comes back, and nothing else does.

use proptest::prelude::*;

use super::*;

const DATA_KEY: &str = "01k00000000000000000000000";

fn key(byte: u8) -> Key {
    Zeroizing::new([byte; 32])
}

fn open(text: &str, key: &Key) -> Option<String> {
    Envelope::parse(text)?.open(key)
}

proptest! {
    #[test]
    fn what_is_sealed_comes_back(plain in ".*", purpose in ".*") {
        let envelope = Envelope::seal(&key(1), DATA_KEY, &purpose, &plain).unwrap();
        let read = Envelope::parse(&envelope.to_text()).unwrap();
        prop_assert_eq!(&read, &envelope);
        prop_assert_eq!(read.open(&key(1)), Some(plain));
        prop_assert_eq!(read.open(&key(2)), None);
    }

    #[test]
    fn another_purpose_or_data_key_is_refused(one in "[a-z/]{0,20}", other in "[a-z/]{0,20}") {
        prop_assume!(one != other);
        let envelope = Envelope::seal(&key(1), DATA_KEY, &one, "hunter2").unwrap();
        let elsewhere = Envelope { purpose: other, ..envelope.clone() };
        prop_assert_eq!(elsewhere.open(&key(1)), None);
        let renamed = Envelope { data_key: one + "x", ..envelope };
        prop_assert_eq!(renamed.open(&key(1)), None);
    }
}

#[test]
fn no_bit_can_be_flipped() {
    let sealed = seal_bytes(&key(1), "bound", b"hunter2").unwrap();
    for bit in 0..sealed.len() * 8 {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(open_bytes(&key(1), "bound", &changed), None, "bit {bit}");
    }
    for length in 0..sealed.len() {
        assert_eq!(open_bytes(&key(1), "bound", &sealed[..length]), None, "{length} bytes");
    }
}

#[test]
fn no_character_of_the_text_can_be_changed() {
    let text = Envelope::seal(&key(1), DATA_KEY, "team/a", "hunter2").unwrap().to_text();
    for (place, letter) in text.char_indices() {
        for other in ['A', 'b', '7', '.', '='].into_iter().filter(|it| *it != letter) {
            let mut changed = text.clone();
            changed.replace_range(place..=place, &other.to_string());
            assert_eq!(open(&changed, &key(1)), None, "{place}: `{letter}` → `{other}`");
        }
    }
    assert_eq!(open(&format!("{text}.x"), &key(1)), None);
    assert_eq!(open("", &key(1)), None);
}
