"""Slimmable layers against plain narrow ones."""

import torch


def gradients_agree(wide, plain, slices):
    """Whether the plain layer's gradients are the slices of the wide one's."""
    for name, parameter in plain.named_parameters():
        gradient = getattr(wide, name).grad
        torch.testing.assert_close(gradient[slices[name]], parameter.grad)
        rest = gradient.clone()
        rest[slices[name]] = 0
        assert not rest.any()  # what is cut off gets no gradient


def compare(wide, plain, x, slices):
    """Forward and gradients of both, on the same input."""
    one, two = x.clone().requires_grad_(), x.clone().requires_grad_()
    a, b = wide(one), plain(two)
    torch.testing.assert_close(a, b)
    weight = torch.randn_like(a)
    (a * weight).sum().backward()
    (b * weight).sum().backward()
    torch.testing.assert_close(one.grad, two.grad)
    gradients_agree(wide, plain, slices)
