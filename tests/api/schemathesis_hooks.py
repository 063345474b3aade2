"""What schemathesis puts where a picture is asked for: a real one, as well as what it draws by itself."""

from __future__ import annotations

import base64

import schemathesis
from api_helpers import picture_of
from hypothesis import strategies as st

PICTURES = [picture_of(number, which) for number in range(2) for which in range(2)]

schemathesis.openapi.format("photo-base64", st.sampled_from([base64.b64encode(one).decode() for one in PICTURES]))
schemathesis.openapi.format("binary", st.sampled_from(PICTURES))
