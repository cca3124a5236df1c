"""What a method may be told beyond the given labels. It has to say so, is marked in tables, and stands outside the ranking."""

from __future__ import annotations

from collections.abc import Mapping

PRIVILEGES: Mapping[str, str] = {
    "votes": "how humans voted on each training image",
    "noise_rate": "the share of the given labels that are wrong",
    "transition": "how often each class was labelled as each other",
}
