import copy

import pytest
import torch
from torch.nn import functional as F

from pss.engine import SandwichOptimWrapper
from pss.errors import DivergedError, InputError
from pss.sampling import Pass
from pss.structures import Subnet

from ...training import batch


def plan_of(model, i=0):
    """Largest, one of four subnets, smallest."""
    space = model.search_space
    codes = space.enumerate()[[7, 900, 4000, 9000]]
    return (Pass('largest', space.largest),
            Pass('sampled',
                 space.decode(codes)[i]), Pass('smallest', space.smallest))


def summed_losses(model, plan, data):
    """Writes out the sandwich's loss; returns the sampled cross-entropy."""
    data = model.data_preprocessor(dict(data), True)
    labels = torch.cat([s.gt_label for s in data['data_samples']])
    total, teacher, task = 0., None, None
    for name, subnet, _ in plan:
        model.switch_to(subnet)
        logits = model(data['inputs'])
        if teacher is None:
            total = total + F.cross_entropy(logits, labels)
            teacher = logits.detach().softmax(1)
        else:
            total = total + (
                teacher *
                (teacher.log() - logits.log_softmax(1))).sum(1).mean()
        if name == 'sampled':
            task = F.cross_entropy(logits, labels).item()
    return total, task


def sgd(model, lr=0.01, **kwargs):
    return SandwichOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9), **kwargs)


def same_weights(one, two, **tolerance):
    for (name, a), b in zip(one.named_parameters(), two.parameters()):
        torch.testing.assert_close(
            a, b, msg=lambda m, name=name: f'{name}: {m}', **tolerance)


def record_gradients(wrapper, model):
    """Copies the gradients just before each step."""
    seen, step = [], wrapper.optimizer.step

    def recording(*args, **kwargs):
        seen.append([p.grad.clone() for p in model.parameters()])
        return step(*args, **kwargs)

    wrapper.optimizer.step = recording
    return seen


def test_gradient_equals_the_hand_summed_losses(supernet):
    """Oracle: one backward pass through the sum of the three losses."""
    by_hand = copy.deepcopy(supernet).train()
    supernet.train()
    wrapper = sgd(supernet)
    seen = record_gradients(wrapper, supernet)
    wrapper.plan = plan_of(supernet)
    log = supernet.train_step(batch(), wrapper)
    assert len(seen) == 1
    total, task = summed_losses(by_hand, plan_of(by_hand), batch())
    total.backward()
    for found, parameter in zip(seen[0], by_hand.parameters()):
        torch.testing.assert_close(found, parameter.grad, atol=2e-5, rtol=1e-4)
    assert log['loss'].item() == pytest.approx(total.item(), rel=1e-5)
    assert log['task_sampled'].item() == pytest.approx(task, rel=1e-5)
    assert all(p.grad is None or not p.grad.any()
               for p in supernet.parameters())


def test_score_equals_a_pass_of_its_own(supernet):
    """Oracle: the sampled subnet's cross-entropy in a separate forward pass
    with batch statistics, before the step."""
    supernet.train()
    alone = copy.deepcopy(supernet)
    plan = plan_of(supernet, 2)
    alone.switch_to(plan[1].subnet)
    with torch.no_grad():
        expected = alone(**batch(), mode='loss')['loss'].item()
    wrapper = sgd(supernet)
    wrapper.plan = plan
    log = supernet.train_step(batch(), wrapper)
    assert log['task_sampled'].item() == pytest.approx(expected, rel=1e-6)


def test_best_of_the_candidates(supernet):
    """Oracle: each candidate's cross-entropy by hand; then the weights of an
    iteration that has the best one in its plan."""
    by_hand = copy.deepcopy(supernet).train()
    supernet.train()
    four = [plan_of(supernet, i)[1].subnet for i in range(4)]
    losses = [
        summed_losses(by_hand, plan_of(by_hand, i), batch())[1]
        for i in range(4)
    ]
    best = min(range(4), key=losses.__getitem__)
    wrapper, without = sgd(supernet), sgd(by_hand)
    largest, sampled, smallest = plan_of(supernet)
    others = tuple(four[(best + i) % 4] for i in (1, 2, 0, 3))
    wrapper.plan = (largest, Pass('sampled', sampled.subnet, others), smallest)
    without.plan = plan_of(by_hand, best)
    log = supernet.train_step(batch(), wrapper)
    by_hand.train_step(batch(), without)
    assert wrapper.plan == without.plan
    assert log['task_sampled'].item() == pytest.approx(losses[best], rel=1e-4)
    same_weights(supernet, by_hand)


def test_clipping(supernet):
    """Oracle: torch's clip_grad_norm_ on the summed gradients."""
    by_hand = copy.deepcopy(supernet).train()
    supernet.train()
    wrapper = sgd(supernet, clip_grad=dict(max_norm=0.5))
    wrapper.plan = plan_of(supernet)
    supernet.train_step(batch(), wrapper)
    optimizer = sgd(by_hand).optimizer
    summed_losses(by_hand, plan_of(by_hand), batch())[0].backward()
    norm = torch.nn.utils.clip_grad_norm_(by_hand.parameters(), 0.5)
    assert norm > 0.5
    optimizer.step()
    same_weights(supernet, by_hand, atol=1e-6, rtol=1e-4)


def test_accumulation_over_iterations(supernet):
    """Oracle: the mean of two iterations' summed gradients, then a step; the
    fifth iteration, the last, steps alone. The learning rate is 0, so that
    every gradient is taken at the same weights."""
    by_hand = copy.deepcopy(supernet).train()
    supernet.train()
    wrapper = sgd(supernet, lr=0., accumulative_counts=2)
    seen = record_gradients(wrapper, supernet)
    wrapper.initialize_count_status(supernet, 0, 5)
    for i in range(5):
        wrapper.plan = plan_of(supernet, i % 4)
        supernet.train_step(batch(seed=i), wrapper)
        total, _ = summed_losses(by_hand, plan_of(by_hand, i % 4),
                                 batch(seed=i))
        (total / (1 if i == 4 else 2)).backward()
        assert len(seen) == (0, 1, 1, 2, 3)[i]
        if i in (1, 3, 4):
            for found, parameter in zip(seen[-1], by_hand.parameters()):
                torch.testing.assert_close(
                    found, parameter.grad, atol=1e-4, rtol=1e-4)
            by_hand.zero_grad()


def test_any_number_of_passes(supernet):
    """Oracle: the hand-summed losses of four passes."""
    by_hand = copy.deepcopy(supernet).train()
    supernet.train()
    plan = (*plan_of(supernet), Pass('another', plan_of(supernet, 3)[1][1]))
    wrapper = sgd(supernet)
    wrapper.plan = plan
    supernet.train_step(batch(), wrapper)
    optimizer = sgd(by_hand).optimizer
    summed_losses(by_hand, plan, batch())[0].backward()
    optimizer.step()
    same_weights(supernet, by_hand, atol=1e-6, rtol=1e-4)
    wrapper.plan = ()
    with pytest.raises(RuntimeError, match='expected pss.PSSSamplerHook'):
        supernet.train_step(batch(), wrapper)


def test_bfloat16(supernet):
    """Oracle: the losses in float32, to bfloat16's precision."""
    by_hand = copy.deepcopy(supernet).train()
    supernet.train()
    wrapper = sgd(supernet, amp='bfloat16')
    wrapper.plan = plan_of(supernet)
    log = supernet.train_step(batch(), wrapper)
    total, _ = summed_losses(by_hand, plan_of(by_hand), batch())
    assert log['loss'].item() == pytest.approx(total.item(), rel=0.05)
    assert all(p.dtype == torch.float32 for p in supernet.parameters())
    with pytest.raises(InputError, match="amp='float8'"):
        sgd(supernet, amp='float8')


def scaling(model, scale):
    """A wrapper for float16, with an initial loss scale."""
    wrapper = sgd(model, amp='float16')
    if not wrapper._scaler.is_enabled():
        pytest.skip('this torch scales losses on GPUs only')
    state = wrapper.state_dict()
    state['loss_scaler']['scale'] = scale
    wrapper.load_state_dict(state)
    return wrapper


def test_float16_scales_once_an_iteration(supernet):
    """Oracle: the losses in float32, to float16's precision; the scale doubles
    after three updates, as configured, and not before."""
    by_hand = copy.deepcopy(supernet).train()
    supernet.train()
    wrapper = scaling(supernet, 64.)
    wrapper._scaler.set_growth_interval(3)
    total, _ = summed_losses(by_hand, plan_of(by_hand), batch(16))
    for i in range(3):
        assert wrapper._scaler.get_scale() == 64
        wrapper.plan = plan_of(supernet)
        log = supernet.train_step(batch(16), wrapper)
        if i == 0:
            assert log['loss'].item() == pytest.approx(total.item(), rel=0.05)
    assert wrapper._scaler.get_scale() == 128


def test_scaled_gradients_that_overflow_skip_the_step(supernet):
    """Oracle: unchanged weights and optimizer, finite losses, and half the loss
    scale, which the state dict includes."""
    supernet.train()
    wrapper = scaling(supernet, 2.**126)
    before = copy.deepcopy(supernet)
    wrapper.plan = plan_of(supernet)
    log = supernet.train_step(batch(), wrapper)
    assert all(value.isfinite() for value in log.values())
    assert wrapper.step_skipped and not wrapper.optimizer.state
    same_weights(supernet, before)
    assert wrapper._scaler.get_scale() == 2.**125
    other = sgd(supernet, amp='float16')
    other.load_state_dict(wrapper.state_dict())
    assert other._scaler.get_scale() == 2.**125


def spoil_gradients(wrapper):
    """Makes one gradient infinite before each step, as if it overflowed."""

    def backward(loss, whole=wrapper.backward):
        whole(loss)
        wrapper.optimizer.param_groups[0]['params'][0].grad[0] = float('inf')

    wrapper.backward = backward


def test_bfloat16_skips_gradients_that_are_not_finite(supernet):
    """Oracle: unchanged weights; the next iteration's step is taken."""
    supernet.train()
    before = copy.deepcopy(supernet)
    wrapper = sgd(supernet, amp='bfloat16')
    whole = wrapper.backward
    wrapper.plan = plan_of(supernet)
    spoil_gradients(wrapper)
    supernet.train_step(batch(), wrapper)
    assert wrapper.step_skipped
    same_weights(supernet, before)
    wrapper.backward = whole
    supernet.train_step(batch(), wrapper)
    assert not wrapper.step_skipped
    with pytest.raises(AssertionError):
        same_weights(supernet, before)


def test_steps_are_not_skipped_for_ever(supernet, monkeypatch):
    """Oracle: the limit, three here."""
    from pss.engine.optimizers import sandwich_optim_wrapper
    monkeypatch.setattr(sandwich_optim_wrapper, 'MAX_SKIPPED', 3)
    supernet.train()
    wrapper = sgd(supernet, amp='bfloat16')
    wrapper.plan = plan_of(supernet)
    spoil_gradients(wrapper)
    for _ in range(2):
        supernet.train_step(batch(), wrapper)
    with pytest.raises(DivergedError, match=r'3 times in a row.*Subnet'):
        supernet.train_step(batch(), wrapper)


def has_float16():
    """Whether this torch computes in float16 on a CPU; 2.1 does not."""
    try:
        with torch.autocast('cpu', torch.float16):
            return torch.is_autocast_enabled('cpu')
    except (RuntimeError, TypeError):
        return False


@pytest.mark.parametrize('amp', [
    None, 'bfloat16',
    pytest.param(
        'float16',
        marks=pytest.mark.skipif(
            not has_float16(), reason='no float16 on a CPU'))
])
@pytest.mark.parametrize('name', ['largest', 'sampled', 'smallest'])
def test_a_loss_that_is_not_finite_stops_before_the_step(supernet, name, amp):
    """Oracle: unchanged weights; the pass and its subnet in the message."""
    supernet.train()
    wrapper = sgd(supernet, amp=amp)
    before = copy.deepcopy(supernet)
    plan = wrapper.plan = plan_of(supernet)
    subnet = next(p.subnet for p in plan if p.name == name)

    def spoil(module, args, output):
        if supernet.active_subnet == subnet:
            return tuple(x * float('nan') for x in output)

    supernet.neck.register_forward_hook(spoil)
    with pytest.raises(
            DivergedError,
            match=f'loss_{name}=nan of '
            f'.*resolution={subnet.resolution}, ') as error:
        supernet.train_step(batch(), wrapper)
    assert ('65504' in str(error.value)) == (amp == 'float16')
    assert '\n' not in str(error.value)
    same_weights(supernet, before)
    assert not wrapper.optimizer.state


def test_subnet_is_the_largest_between_iterations(supernet):
    """Oracle: the space's largest."""
    supernet.train()
    wrapper = sgd(supernet)
    wrapper.plan = plan_of(supernet)
    supernet.train_step(batch(), wrapper)
    assert supernet.active_subnet == Subnet(32,
                                            (32, 16, 24, 32, 64, 96, 160, 320))


@pytest.mark.parametrize('kwargs, words', [
    (dict(accumulative_counts=0), 'optim_wrapper.accumulative_counts=0'),
    (dict(accumulative_counts=1.5), 'optim_wrapper.accumulative_counts=1.5'),
    (dict(clip_grad=dict(max_norm=-1)), 'clip_grad.max_norm=-1'),
    (dict(clip_grad=dict(max_norm=float('nan'))), 'clip_grad.max_norm=nan'),
    (dict(clip_grad=dict(type='value', clip_value=0)), 'clip_value=0'),
    (dict(clip_grad=5), 'clip_grad=5'),
    (dict(clip_grad={}), 'clip_grad={}'),
])
def test_bad_arguments(kwargs, words):
    """Oracle: field and value in the message."""
    with pytest.raises(InputError, match=words):
        sgd(torch.nn.Linear(2, 2), **kwargs)


def test_a_limit_of_infinity_is_none():
    """Oracle: torch's norm without a limit, which people log this way."""
    assert sgd(
        torch.nn.Linear(2, 2),
        clip_grad=dict(max_norm=float('inf'))).clip_grad_kwargs
