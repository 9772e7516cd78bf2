"""The conformance kit: checks that a defense, an attack, a model or a data set keeps the promises of its interface."""

from .attack_checks import ATTACK_CHECKS as ATTACK_CHECKS
from .checks import BrokenPromiseError as BrokenPromiseError
from .checks import Check as Check
from .checks import model as model
from .checks import streams as streams
from .dataset_checks import DATASET_CHECKS as DATASET_CHECKS
from .defense_checks import DEFENSE_CHECKS as DEFENSE_CHECKS
from .kit import NOT_CHECKED as NOT_CHECKED
from .kit import check as check
from .kit import check_named as check_named
from .kit import checks_of as checks_of
from .kit import parametrize_with_checks as parametrize_with_checks
from .learning_checks import LEARNING_CHECKS as LEARNING_CHECKS
from .model_checks import MODEL_CHECKS as MODEL_CHECKS
from .subjects import find as find
from .subjects import named as named
from .subjects import prepared as prepared
