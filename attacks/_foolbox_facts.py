"""The attacks of foolbox 3.3.4 that run here, and their properties, known without importing foolbox.

Left out are those that no threat in pixel space describes, or that need more than a model and an image:

- SpatialAttack rotates and shifts: no norm limits it, and it minimises no perturbation;
- DatasetAttack needs other images, fed to it beforehand;
- BinarizationRefinementAttack refines what another attack found, for models that threshold their input.
"""

from typing import Literal, NamedTuple

from ..core.attack import Access
from ..core.norms import NORMS, Norm


class Facts(NamedTuple):
    """The properties of a foolbox attack.

    `minimal` attacks search for the smallest perturbation, the others stay within a budget. `targeted`: whether there
    is a targeted form; GenAttack has no other.
    """

    norms: tuple[Norm, ...]
    access: Access
    minimal: bool = False
    targeted: Literal["no", "yes", "only"] = "yes"

    def __str__(self) -> str:
        kind = "minimal" if self.minimal else "image"
        targeted = {"no": "", "yes": ", also targeted", "only": ", targeted only"}[self.targeted]
        return f"{kind} attack, {' or '.join(self.norms)}, access: {self.access}{targeted}"


_Norms = tuple[Norm, ...]
L0: _Norms = ("l0",)
L1: _Norms = ("l1",)
L2: _Norms = ("l2",)
LINF: _Norms = ("linf",)

_GROUPS: tuple[tuple[Facts, tuple[str, ...]], ...] = (
    (Facts(L1, "gradient", targeted="no"), ("L1FastGradientAttack",)),
    (Facts(L2, "gradient", targeted="no"), ("L2FastGradientAttack", "VirtualAdversarialAttack")),
    (Facts(LINF, "gradient", targeted="no"), ("LinfFastGradientAttack",)),
    (
        Facts(L1, "gradient"),
        (
            "L1AdamBasicIterativeAttack",
            "L1AdamProjectedGradientDescentAttack",
            "L1BasicIterativeAttack",
            "L1MomentumIterativeFastGradientMethod",
            "L1ProjectedGradientDescentAttack",
            "SparseL1DescentAttack",
        ),
    ),
    (
        Facts(L2, "gradient"),
        (
            "L2AdamBasicIterativeAttack",
            "L2AdamProjectedGradientDescentAttack",
            "L2BasicIterativeAttack",
            "L2MomentumIterativeFastGradientMethod",
            "L2ProjectedGradientDescentAttack",
        ),
    ),
    (
        Facts(LINF, "gradient"),
        (
            "LinfAdamBasicIterativeAttack",
            "LinfAdamProjectedGradientDescentAttack",
            "LinfBasicIterativeAttack",
            "LinfMomentumIterativeFastGradientMethod",
            "LinfProjectedGradientDescentAttack",
        ),
    ),
    (Facts(LINF, "score", targeted="only"), ("GenAttack",)),
    (
        Facts(L2, "decision"),
        (
            "L2ClippingAwareRepeatedAdditiveGaussianNoiseAttack",
            "L2ClippingAwareRepeatedAdditiveUniformNoiseAttack",
            "L2RepeatedAdditiveGaussianNoiseAttack",
            "L2RepeatedAdditiveUniformNoiseAttack",
        ),
    ),
    (Facts(LINF, "decision"), ("LinfRepeatedAdditiveUniformNoiseAttack",)),
    (
        Facts(L2, "none", targeted="no"),
        (
            "L2AdditiveGaussianNoiseAttack",
            "L2AdditiveUniformNoiseAttack",
            "L2ClippingAwareAdditiveGaussianNoiseAttack",
            "L2ClippingAwareAdditiveUniformNoiseAttack",
            "L2ContrastReductionAttack",
        ),
    ),
    (Facts(LINF, "none", targeted="no"), ("LinfAdditiveUniformNoiseAttack",)),
    (Facts(L2, "gradient", minimal=True, targeted="no"), ("L2DeepFoolAttack", "NewtonFoolAttack")),
    (Facts(LINF, "gradient", minimal=True, targeted="no"), ("LinfDeepFoolAttack",)),
    (Facts(L0, "gradient", minimal=True), ("L0BrendelBethgeAttack", "L0FMNAttack")),
    (Facts(L1, "gradient", minimal=True), ("EADAttack", "L1BrendelBethgeAttack", "L1FMNAttack")),
    (
        Facts(L2, "gradient", minimal=True),
        ("DDNAttack", "L2BrendelBethgeAttack", "L2CarliniWagnerAttack", "L2FMNAttack"),
    ),
    (Facts(LINF, "gradient", minimal=True), ("LInfFMNAttack", "LinfinityBrendelBethgeAttack")),
    (Facts(L2, "decision", minimal=True), ("BoundaryAttack", "SaltAndPepperNoiseAttack")),
    (Facts(("l2", "linf"), "decision", minimal=True), ("HopSkipJumpAttack",)),
    (
        Facts(NORMS, "decision", minimal=True),
        (
            "BinarySearchContrastReductionAttack",
            "GaussianBlurAttack",
            "LinearSearchBlendedUniformNoiseAttack",
            "LinearSearchContrastReductionAttack",
            "PointwiseAttack",
        ),
    ),
    (Facts(NORMS, "decision", minimal=True, targeted="no"), ("InversionAttack",)),
)

FACTS = {name: facts for facts, names in _GROUPS for name in names}

COMPILED = (
    "L0BrendelBethgeAttack",
    "L1BrendelBethgeAttack",
    "L2BrendelBethgeAttack",
    "LinfinityBrendelBethgeAttack",
)
"""Attacks that need numba, which compiles them for a minute or two at their first use in every process."""

RANDOMIZED = (
    "Boundary",
    "Brendel",
    "GenAttack",
    "HopSkipJump",
    "Noise",
    "Pointwise",
    "ProjectedGradient",
    "VirtualAdversarial",
)
"""Parts of the names of attacks that draw random numbers unless told not to."""

ALIASES = {
    "AdamPGD": "LinfAdamProjectedGradientDescentAttack",
    "FGM": "L2FastGradientAttack",
    "FGSM": "LinfFastGradientAttack",
    "L1AdamPGD": "L1AdamProjectedGradientDescentAttack",
    "L1PGD": "L1ProjectedGradientDescentAttack",
    "L2AdamPGD": "L2AdamProjectedGradientDescentAttack",
    "L2PGD": "L2ProjectedGradientDescentAttack",
    "LinfAdamPGD": "LinfAdamProjectedGradientDescentAttack",
    "LinfPGD": "LinfProjectedGradientDescentAttack",
    "MIFGSM": "LinfMomentumIterativeFastGradientMethod",
    "PGD": "LinfProjectedGradientDescentAttack",
}
"""foolbox's own short names."""
