"""Whether an output folder is what the suite has written: nothing in it is trusted, and nothing is mended unasked.

`examine` looks and changes nothing; `repair` removes what was found damaged or left over, all of which can be made again.
"""

from .examination import Examination
from .examine import examine
from .finding import WRONG, Finding, by_folder
from .repair import repair

__all__ = ["WRONG", "Examination", "Finding", "by_folder", "examine", "repair"]
