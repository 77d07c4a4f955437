"""How shops sign webhooks: an HMAC of the topic and the body, with a secret that both know."""

import hashlib
import hmac
import os

HEADER = "X-Tokpulse-Signature"
SECRET = os.environ.get("TOKPULSE_WEBHOOK_SECRET", "demo-webhook-secret").encode()


def signature_of(topic: str, body: bytes) -> str:
    """Sign a body for one topic: it is not signed for any other."""
    return f"sha256={hmac.new(SECRET, topic.encode() + bytes(1) + body, hashlib.sha256).hexdigest()}"


def is_signed(topic: str, body: bytes, signature: str) -> bool:
    return hmac.compare_digest(signature_of(topic, body).encode(), signature.encode())
