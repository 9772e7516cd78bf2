"""Names for content: what is the same has the same."""

import hashlib
import json
from typing import Any


def digest(*parts: Any) -> str:
    """Short hash of anything that JSON can hold; of what it cannot, as a path, the text counts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]
