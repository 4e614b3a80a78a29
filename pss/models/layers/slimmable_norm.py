"""Normalisation layers that run with their first channels."""

from typing import Optional, Tuple

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from ...registry import MODELS
from .synchronised_norm import is_shared, synchronised_batch_norm


# _BatchNorm is a direct base for init_cfg, which looks at the names of direct
# bases only: so layer='_BatchNorm' and layer='BatchNorm2d' both apply.
@MODELS.register_module()
class SlimmableBatchNorm2d(nn.BatchNorm2d, _BatchNorm):
    """A batch norm that runs with the first channels of its parameters.

    The input determines how many. Subnets share weight and bias, but not
    statistics: the activations of a narrow subnet are distributed differently.
    So the running buffers are the largest subnet's, and a supernet sets
    calibrated ones for other subnets in ``statistics``.

    Args:
        args, kwargs: as for :class:`torch.nn.BatchNorm2d`.
        sync: whether batches in training are normalised with the statistics of
            all processes together, as ``torch.nn.SyncBatchNorm`` does.

    Attributes:
        sync (bool): as above.
        statistics: mean and variance, each of shape ``(C, )``, used instead of
            the first ``C`` entries of the running buffers; ``None`` for the
            buffers themselves.
        track_running_stats: whether training updates the statistics in use.
            False freezes them; as in torch, training still normalises batches
            with their own statistics.
    """

    def __init__(self, *args, sync: bool = False, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.sync = sync
        self.statistics: Optional[Tuple[Tensor, Tensor]] = None

    def forward(self, x: Tensor) -> Tensor:
        """Normalises ``(N, C, H, W)``."""
        self._check_input_dim(x)
        channels = x.shape[1]
        weight = _first(self.weight, channels)
        bias = _first(self.bias, channels)
        mean, var = self.statistics or (_first(
            self.running_mean, channels), _first(self.running_var, channels))

        batch_statistics = self.training or mean is None
        momentum = self.momentum or 0.
        if self.training:
            if not self.track_running_stats:
                mean = var = None
            elif self.num_batches_tracked is not None:
                if self.statistics is None:
                    self.num_batches_tracked.add_(1)
                if self.momentum is None:
                    momentum = 1. / float(self.num_batches_tracked)
            if self.sync and is_shared():
                return synchronised_batch_norm(x, mean, var, weight, bias,
                                               momentum, self.eps)
        return F.batch_norm(x, mean, var, weight, bias, batch_statistics,
                            momentum, self.eps)


@MODELS.register_module()
class SlimmableGroupNorm(nn.GroupNorm):
    """A group norm that runs with the first channels of its parameters.

    The number of groups stays, so it must divide every width.

    Args:
        num_channels: at full width; the first argument, as mmcv passes it.
        num_groups: as for :class:`torch.nn.GroupNorm`.
        **kwargs: as for :class:`torch.nn.GroupNorm`.
    """

    def __init__(self, num_channels: int, num_groups: int, **kwargs) -> None:
        super().__init__(num_groups, num_channels, **kwargs)

    def forward(self, x: Tensor) -> Tensor:
        """Normalises ``(N, C, ...)``."""
        channels = x.shape[1]
        return F.group_norm(x, self.num_groups, _first(self.weight, channels),
                            _first(self.bias, channels), self.eps)


def _first(values: Optional[Tensor], channels: int) -> Optional[Tensor]:
    """The values of the first channels, if there are any values."""
    if values is None or values.shape[0] == channels:
        return values
    return values[:channels]
