"""Several passes of a supernet, one optimizer step."""

from contextlib import contextmanager, nullcontext
from typing import Any, Dict, Iterator, Optional, Sequence

import torch
from mmengine.device import get_device
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from ...errors import InputError
from ...registry import OPTIM_WRAPPERS

AMP_TYPES = {None: None, 'float16': torch.float16,
             'bfloat16': torch.bfloat16}


@OPTIM_WRAPPERS.register_module()
class SandwichOptimWrapper(OptimWrapper):
    """Sums the gradients of an iteration's passes and steps once.

    The sandwich rule with in-place distillation (Yu & Huang, "Universally
    Slimmable Networks", ICCV 2019; PSS-Net, Sec. III-C)::

        for pass in plan:                 # largest, sampled, smallest
            switch_to(pass.subnet)
            loss = model(batch, teacher)  # the first pass gives the teacher
            loss.backward()               # gradients add up
        optimizer.step()

    In distributed training gradients are reduced once, in the last pass. With
    ``accumulative_counts`` above 1 the step comes after so many iterations,
    with the mean of their gradients.

    Args:
        optimizer: the optimizer.
        passes: passes in an iteration.
        amp: ``'float16'`` or ``'bfloat16'`` for mixed precision. ``'float16'``
            scales losses dynamically, with one update of the scale a step.
        **kwargs: as for MMEngine's ``OptimWrapper``: ``accumulative_counts``,
            ``clip_grad``.

    Attributes:
        plan: the passes of the next iteration; the sampler hook writes it.
    """

    def __init__(self,
                 optimizer: torch.optim.Optimizer,
                 passes: int = 3,
                 amp: Optional[str] = None,
                 **kwargs) -> None:
        super().__init__(optimizer, **kwargs)
        if amp not in AMP_TYPES:
            raise InputError(f'amp={amp!r} must be one of {list(AMP_TYPES)}')
        self.passes = passes
        self.plan: Sequence = ()
        # MMEngine counts backward passes, so accumulation does too
        self._accumulative_counts *= passes
        self._amp_type = AMP_TYPES[amp]
        self._scaler = _grad_scaler(enabled=amp == 'float16')

    def train_step(self, model: nn.Module, data: Any) -> Dict[str, Tensor]:
        """Trains the plan's passes on one batch.

        Args:
            model: a supernet, or a distributed wrapper around one.
            data: a batch from the dataloader; it is preprocessed once.

        Returns:
            Detached scalars to log: ``loss`` (the sum), and for each pass
            every loss with the pass's name behind it, such as
            ``loss_largest``, ``loss_sampled``, ``task_sampled``.
        """
        if len(self.plan) != self.passes:
            raise RuntimeError(f'the plan has {len(self.plan)} passes, the '
                               f'optimizer wrapper was built for passes='
                               f'{self.passes}; is the sampler hook missing?')
        supernet = model.module if is_model_wrapper(model) else model
        data = supernet.data_preprocessor(data, training=True)
        log: Dict[str, Tensor] = {}
        teacher = None
        for name, subnet in self.plan:
            supernet.switch_to(subnet)
            with self.optim_context(model):
                losses, logits = model(**data, mode='pass', teacher=teacher)
                loss, parsed = supernet.parse_losses(losses)
            self.update_params(loss)
            teacher = logits if teacher is None else teacher
            log.update({f'{key}_{name}': value.detach()
                        for key, value in parsed.items()})
        log['loss'] = sum(log[f'loss_{name}'] for name, _ in self.plan)
        supernet.switch_to(supernet.search_space.largest)
        return log

    def initialize_count_status(self, model: nn.Module, init_counts: int,
                                max_counts: int) -> None:
        """As in ``OptimWrapper``; given iterations, it counts passes."""
        self._inner_count = init_counts * self.passes
        self._max_counts = max_counts * self.passes
        self._remainder_counts = self._max_counts % self._accumulative_counts

    def scale_loss(self, loss: Tensor) -> Tensor:
        """The mean over accumulated iterations, the sum over passes."""
        counts = self._accumulative_counts
        if self._remainder_counts > 0 and self._inner_count >= \
                self._max_counts - self._remainder_counts:
            counts = self._remainder_counts
        return loss / (counts // self.passes)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """As in ``OptimWrapper``, with mixed precision where it is on."""
        precision = nullcontext() if self._amp_type is None else \
            torch.autocast(get_device(), self._amp_type)
        with super().optim_context(model), precision:
            yield

    def backward(self, loss: Tensor, **kwargs) -> None:
        """As in ``OptimWrapper``, of the scaled loss."""
        super().backward(self._scaler.scale(loss), **kwargs)

    def step(self, **kwargs) -> None:
        """As in ``OptimWrapper``; skipped if scaled gradients overflow."""
        if self.clip_grad_kwargs:
            self._scaler.unscale_(self.optimizer)
            self._clip_grad()
        self._scaler.step(self.optimizer, **kwargs)
        self._scaler.update()

    def state_dict(self) -> dict:
        """The optimizer's, and the loss scale's where there is one."""
        state = super().state_dict()
        if self._scaler.is_enabled():
            state['loss_scaler'] = self._scaler.state_dict()
        return state

    def load_state_dict(self, state_dict: dict) -> None:
        """Takes what :meth:`state_dict` gave."""
        state_dict = dict(state_dict)
        scaler = state_dict.pop('loss_scaler', None)
        if scaler and self._scaler.is_enabled():
            self._scaler.load_state_dict(scaler)
        super().load_state_dict(state_dict)


def _grad_scaler(enabled: bool):
    """torch's loss scaler, which moved in torch 2.3; a no-op if disabled."""
    if hasattr(torch.amp, 'GradScaler'):
        return torch.amp.GradScaler(get_device(), enabled=enabled)
    return torch.cuda.amp.GradScaler(enabled=enabled)
