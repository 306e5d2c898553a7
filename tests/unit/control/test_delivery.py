"""Signatures and waits of webhooks."""

from __future__ import annotations

import base64
import itertools

from fairlead.control.delivery import ATTEMPTS, LONGEST_US, new_secret, signature, wait_us


def test_the_signature_is_that_of_standard_webhooks() -> None:
    # The example of the specification's reference libraries.
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    found = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, '{"test": 2432232314}')
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_waits_double_and_end() -> None:
    waits = [wait_us(attempt) for attempt in range(1, ATTEMPTS + 1)]
    assert waits[-1] is None
    known = [wait for wait in waits if wait is not None]
    assert len(known) == ATTEMPTS - 1
    assert known[0] == 1_000_000
    assert all(b == min(2 * a, LONGEST_US) for a, b in itertools.pairwise(known))


def test_secrets_are_of_256_bits_and_their_own() -> None:
    found = {new_secret() for _ in range(10)}
    assert len(found) == 10
    assert all(len(base64.b64decode(secret.removeprefix("whsec_"))) == 32 for secret in found)
