"""What a subnet learns from the largest one: divergences of their outputs."""

from typing import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...checks import check_number, shown
from ...errors import InputError
from ...registry import MODELS


class Divergence(nn.Module):
    """How much a subnet's distribution over classes differs from its teacher's,
    averaged over the batch.

    With several labels an image, every class is a distribution of two outcomes,
    and their divergences are summed.
    """

    def forward(self, teacher: Tensor, logits: Tensor,
                multi_label: bool) -> Tensor:
        """The divergence.

        Args:
            teacher, logits: both ``(N, classes)``.
            multi_label: whether an image has several labels.
        """
        if multi_label:
            teacher, logits = (
                torch.stack([x, torch.zeros_like(x)], dim=-1)
                for x in (teacher, logits))
        exact = torch.promote_types(logits.dtype, torch.float32)
        return self.between(teacher.to(exact), logits.to(exact))

    def between(self, teacher: Tensor, student: Tensor) -> Tensor:
        """The divergence of outputs ``(N, ..., classes)``, summed over all but
        the batch and averaged over that."""
        raise NotImplementedError


@MODELS.register_module()
class KLDivergence(Divergence):
    """Kullback and Leibler's ``KL(teacher || subnet)``, the paper's."""

    def between(self, teacher: Tensor, student: Tensor) -> Tensor:
        """See :class:`Divergence`."""
        # not the exponential of log_softmax: its rounding would be most of the
        # gradient where both agree
        total = F.kl_div(
            F.log_softmax(student, -1), F.softmax(teacher, -1), reduction='sum')
        return total / len(student)


@MODELS.register_module()
class AlphaDivergence(Divergence):
    """The larger of two alpha-divergences, for each image.

    Wang et al., "AlphaNet: Improved Training of Supernets with
    Alpha-Divergence", ICML 2021.

    With the teacher's probabilities ``p`` and the subnet's ``q``::

        D = sum(q * ((p / q)**alpha - 1)) / (alpha * (alpha - 1))
        dD = -sum(q * (p / q)**alpha * d log(q)) / alpha

    An ``alpha`` of 1, which is Kullback and Leibler's, punishes a subnet that
    gives a class too little; one below 0 a subnet that gives much to a class
    which the teacher gives nearly nothing. ``(p / q)**alpha`` is clipped in
    both, since it has no bound. Clip gradients too
    (``optim_wrapper.clip_grad``).

    Args:
        alphas: the two; one alone is possible, and none may be 0.
        clip: most that ``(p / q)**alpha`` counts.

    Raises:
        InputError: for an impossible value.
    """

    def __init__(self,
                 alphas: Sequence[float] = (-1., 1.),
                 clip: float = 5.) -> None:
        super().__init__()
        if not isinstance(alphas, (list, tuple)) or not alphas:
            raise InputError(f'distillation.alphas={shown(alphas)}: expected '
                             'one or two numbers')
        for i, alpha in enumerate(alphas):
            check_number(f'distillation.alphas[{i}]', alpha)
            if alpha == 0:
                raise InputError(f'distillation.alphas[{i}]=0: expected '
                                 'another number')
        self.alphas = tuple(float(alpha) for alpha in alphas)
        self.clip = check_number('distillation.clip', clip, least=1)

    def between(self, teacher: Tensor, student: Tensor) -> Tensor:
        """See :class:`Divergence`."""
        teacher, student = (F.log_softmax(x, -1) for x in (teacher, student))
        found = [
            self._one(teacher, student, alpha).reshape(len(student), -1).sum(1)
            for alpha in self.alphas
        ]
        return torch.stack(found).amax(0).mean()

    def _one(self, teacher: Tensor, student: Tensor, alpha: float) -> Tensor:
        """One divergence ``(N, ...)``; its gradient is as in the paper, which
        is not that of the clipped value."""
        with torch.no_grad():
            difference = teacher - student
            q = student.exp()
            ratio = (alpha * difference).exp().clamp(max=self.clip)
            value = (q * ratio * difference).sum(-1) if alpha == 1 else \
                (q * (ratio - 1)).sum(-1) / (alpha * (alpha - 1))
        slope = -(q * ratio * student).sum(-1) / alpha
        return value + slope - slope.detach()
