"""Short hashes that name content: equal content has equal names."""

import hashlib
import json
from typing import Any


def digest(*parts: Any) -> str:
    """Return a hash, 16 hexadecimal digits, of JSON values; of other values, such as a path, `str` of them counts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]
