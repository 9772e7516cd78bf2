"""The conformance kit: what a defense and an attack promise, checked on yours."""

from .attack_checks import ATTACK_CHECKS as ATTACK_CHECKS
from .checks import BrokenPromiseError as BrokenPromiseError
from .checks import Check as Check
from .checks import model as model
from .checks import streams as streams
from .defense_checks import DEFENSE_CHECKS as DEFENSE_CHECKS
from .kit import check as check
from .kit import checks_of as checks_of
from .kit import find as find
from .kit import named as named
from .kit import parametrize_with_checks as parametrize_with_checks
from .kit import prepared as prepared
