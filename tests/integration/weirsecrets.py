"""Shared by the tests of secrets: secrets that can be told apart, and the search for them."""

import base64
import random


class Secrets:
    """Each is unlike any other word, and named after its place."""

    def __init__(self):
        self.known = {}

    def new(self, place):
        value = f"hush{random.randrange(1 << 60):015x}"
        self.known[value] = place
        return value

    def among(self, text):
        """Those that the text has: quicker to look for than all."""
        some = Secrets()
        some.known = {value: place for value, place in self.known.items() if value in text}
        return some

    def found_in(self, text):
        """The places whose secret, or a form of it that gives it away, is in the text."""
        places = set()
        for value, place in self.known.items():
            forms = [value, value[:12], value.encode().hex()]
            for shift in range(3): # wherever it begins in what was encoded
                encoded = base64.b64encode(b" " * shift + value.encode())
                forms.append(encoded[4:-4].decode())
            if any(form in text for form in forms):
                places.add(place)
        return sorted(places)


def nothing_in(checks, secrets, text, what):
    checks.that(text is not None, f"{what} can be read")
    checks.equal(secrets.found_in(text or ""), [], f"secrets in {what}: {(text or '')[-1500:]}")


def read(path):
    with open(path, encoding="utf-8", errors="replace") as text:
        return text.read()
