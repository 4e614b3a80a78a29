"""Several passes of a supernet, one optimizer step."""

import logging
import math
from contextlib import contextmanager
from functools import reduce
from typing import Any, Dict, Iterator, Optional, Sequence

import torch
from mmengine.dist import all_reduce
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from ...checks import check_integer, check_number, shown
from ...errors import DivergedError, InputError
from ...registry import OPTIM_WRAPPERS
from ...sampling import Pass
from ..precision import amp_type, grad_scaler, mixed_precision

# Most steps that may be skipped in a row. Dynamic scaling halves the scale each
# time, so that it has fallen from 2 ** 16 to 2 ** -34 by then.
MAX_SKIPPED = 50


@OPTIM_WRAPPERS.register_module()
class SandwichOptimWrapper(OptimWrapper):
    """Sums the gradients of all passes of an iteration, then steps once.

    The sandwich rule with in-place distillation (Yu & Huang, "Universally
    Slimmable Networks", ICCV 2019; PSS-Net, Sec. III-C)::

        for pass in plan:                 # largest, sampled, smallest
            switch_to(pass.subnet)
            loss = model(batch, teacher)  # the first pass is the teacher's
            loss.backward()               # gradients add up
        optimizer.step()

    **Values that are not finite.** Before the last backward pass the losses are
    averaged over the processes and checked, all at once: one that is not finite
    stops every process there, before the weights change. Gradients of finite
    losses can overflow in mixed precision; then the step is skipped.

    In distributed training gradients are reduced once, in the last pass. With
    ``accumulative_counts`` above 1 a step follows that many iterations, with
    the mean of their gradients.

    Args:
        optimizer: the optimizer.
        amp: ``'float16'`` or ``'bfloat16'`` for mixed precision. Both skip
            steps whose gradients are not finite; ``'float16'`` scales losses
            dynamically and updates the scale once a step.
        **kwargs: as for MMEngine's ``OptimWrapper``: ``accumulative_counts``,
            ``clip_grad``.

    Attributes:
        plan: the passes of the next iteration, which the sampler hook sets.
        step_skipped (bool): whether the last iteration's step was skipped.

    Raises:
        InputError: for an impossible number.
    """

    def __init__(self,
                 optimizer: torch.optim.Optimizer,
                 amp: Optional[str] = None,
                 **kwargs) -> None:
        check_integer('optim_wrapper.accumulative_counts',
                      kwargs.get('accumulative_counts', 1), 1)
        _check_clipping(kwargs.get('clip_grad'))
        super().__init__(optimizer, **kwargs)
        self.plan: Sequence[Pass] = ()
        self._is_last_pass = True
        self.step_skipped = False
        self._skipped_in_a_row = 0
        self._amp_type = amp_type(amp)
        self._scaler = grad_scaler(enabled=amp == 'float16')

    def train_step(self, model: nn.Module, data: Any) -> Dict[str, Tensor]:
        """Trains the plan's passes on one batch.

        Args:
            model: a supernet, or a distributed wrapper around one.
            data: a batch from the dataloader; it is preprocessed once.

        Returns:
            Scalars to log, on the CPU, means over all processes: ``loss`` (the
            sum over passes), and for each pass every loss followed by the
            pass's name, such as ``loss_largest`` and ``task_sampled``.

        Raises:
            DivergedError: if a loss is not finite, in all processes; weights
                and optimizer are unchanged.
        """
        if not self.plan:
            raise RuntimeError('there is no plan of passes: expected '
                               'pss.PSSSamplerHook among the hooks')
        supernet: Any = model.module if is_model_wrapper(model) else model
        data = supernet.data_preprocessor(data, training=True)
        self.step_skipped = False
        log: Dict[str, Tensor] = {}
        teacher = None
        for i, planned in enumerate(self.plan, start=1):
            self._is_last_pass = i == len(self.plan)
            if planned.candidates:
                planned = self._choose(planned, supernet, data, teacher)
            name = planned.name
            supernet.switch_to(planned.subnet)
            with self.optim_context(model):
                losses, logits = model(**data, mode='pass', teacher=teacher)
                loss, parsed = supernet.parse_losses(losses)
            teacher = logits if teacher is None else teacher
            log.update({
                f'{key}_{name}': value.detach()
                for key, value in parsed.items()
            })
            if self._is_last_pass:  # before the backward pass that steps
                log = _means(log)
                self._check(log)
            self.update_params(loss)
        log['loss'] = reduce(torch.add,
                             (log[f'loss_{name}'] for name, *_ in self.plan))
        supernet.switch_to(supernet.search_space.largest)
        return log

    def _choose(self, planned: Pass, supernet: Any, data: Dict[str, Any],
                teacher: Any) -> Pass:
        """Makes the candidate with the least loss on the batch the pass's
        subnet, in the plan too.

        The loss is the task's, in mean over all processes. Each candidate costs
        one forward pass.
        """
        losses = []
        with torch.no_grad(), mixed_precision(self._amp_type):
            for subnet in planned.candidates:
                supernet.switch_to(subnet)
                parts, _ = supernet(**data, mode='pass', teacher=teacher)
                loss, parsed = supernet.parse_losses(parts)
                losses.append(parsed.get('task', loss).float())
        values = torch.stack(losses)
        all_reduce(values, 'mean')
        best = planned.candidates[int(values.argmin())]
        chosen = Pass(planned.name, best)
        self.plan = tuple(chosen if one is planned else one
                          for one in self.plan)
        return chosen

    def _check(self, log: Dict[str, Tensor]) -> None:
        """Raises :class:`.DivergedError` if a loss is not finite."""
        for name, subnet, *_ in self.plan:
            for key in (f'loss_{name}', f'task_{name}'):
                value = float(log.get(key, 0.))
                if not math.isfinite(value):
                    hint = '; float16 overflows above 65504, amp=' \
                        "'bfloat16' does not" \
                        if self._amp_type is torch.float16 else ''
                    raise DivergedError(
                        f'iteration {self._iteration}: {key}={value} of '
                        f'{subnet} is not finite. No step was taken and no '
                        'score recorded; resume from the last checkpoint with '
                        'a lower learning rate, or with gradients '
                        f'clipped{hint}')

    @property
    def _iteration(self) -> int:
        """The runner's iteration, from 1, as MMEngine's message hub has it."""
        return self.message_hub.get_info('iter', 0) + 1

    def should_update(self) -> bool:
        """Whether to step now: after the last pass of an iteration, if
        ``OptimWrapper``, which counts iterations, would."""
        return self._is_last_pass and super().should_update()

    def should_sync(self) -> bool:
        """Whether DDP reduces gradients now: in the pass that steps."""
        return self._is_last_pass and super().should_sync()

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """``OptimWrapper``'s context, in mixed precision where it is on."""
        with super().optim_context(model), mixed_precision(self._amp_type):
            yield

    def backward(self, loss: Tensor, **kwargs) -> None:
        """Adds the gradients of the scaled loss to those of other passes."""
        self._scaler.scale(loss).backward(**kwargs)
        self._inner_count += self._is_last_pass

    def step(self, **kwargs) -> None:
        """Steps; in mixed precision only if all gradients are finite.

        Raises:
            DivergedError: if too many steps in a row are skipped.
        """
        if self.clip_grad_kwargs:
            self._scaler.unscale_(self.optimizer)
            self._clip_grad()
        if self._scaler.is_enabled():
            scale = self._scaler.get_scale()
            self._scaler.step(self.optimizer, **kwargs)
            self._scaler.update()
            taken = self._scaler.get_scale() >= scale
        else:
            taken = self._amp_type is None or self._gradients_are_finite()
            if taken:
                self.optimizer.step(**kwargs)
        self.step_skipped = not taken
        self._skipped_in_a_row = 0 if taken else self._skipped_in_a_row + 1
        if self.step_skipped:
            self._report_skipped()

    def _gradients_are_finite(self) -> bool:
        """Whether the norm of all gradients is finite. In distributed training
        all processes have the same gradients by now."""
        parameters = [
            p for group in self.optimizer.param_groups for p in group['params']
        ]
        norm = nn.utils.clip_grad_norm_(parameters, float('inf'))
        return math.isfinite(norm.item())

    def _report_skipped(self) -> None:
        what = f'iteration {self._iteration}: gradients are not finite'
        if self._skipped_in_a_row >= MAX_SKIPPED:
            raise DivergedError(
                f'{what}, {MAX_SKIPPED} times in a row; the last were of '
                f'{[one.subnet for one in self.plan]}. No step was taken '
                'and no score recorded; resume from the last checkpoint with a '
                'lower learning rate')
        scale = f'; the loss scale is {self._scaler.get_scale():g} now' \
            if self._scaler.is_enabled() else ''
        print_log(f'{what}, its step is skipped{scale}', 'current',
                  logging.WARNING)

    def state_dict(self) -> dict:
        """The state of the optimizer, and of the loss scale if there is one."""
        state = super().state_dict()
        if self._scaler.is_enabled():
            state['loss_scaler'] = self._scaler.state_dict()
        return state

    def load_state_dict(self, state_dict: dict) -> None:
        """Restores what :meth:`state_dict` returned."""
        state_dict = dict(state_dict)
        scaler = state_dict.pop('loss_scaler', None)
        if scaler and self._scaler.is_enabled():
            self._scaler.load_state_dict(scaler)
        super().load_state_dict(state_dict)


def _check_clipping(clip_grad: Any) -> None:
    """Checks the limit on gradients, which below 0 would reverse them."""
    where = 'optim_wrapper.clip_grad'
    if clip_grad is None:
        return
    if not isinstance(clip_grad, dict) or not {'max_norm', 'clip_value'
                                               } & clip_grad.keys():
        raise InputError(f'{where}={shown(clip_grad)}: expected max_norm, or '
                         "type='value' and clip_value")
    for key in ('max_norm', 'clip_value'):
        if clip_grad.get(key, math.inf) != math.inf:  # no limit
            check_number(f'{where}.{key}', clip_grad[key], above=0)


def _means(log: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """Averages scalars over all processes and copies them to the CPU: one
    collective and one copy for all of them."""
    kind = reduce(torch.promote_types, (v.dtype for v in log.values()),
                  torch.float32)
    values = torch.stack([value.to(kind) for value in log.values()])
    all_reduce(values, 'mean')
    return dict(zip(log, values.cpu()))
