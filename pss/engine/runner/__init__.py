"""Training, validation and test loops for MMEngine's Runner."""

from .test_loop import SubnetTestLoop
from .train_loop import SupernetTrainLoop
from .val_loop import SubnetValLoop

__all__ = ['SubnetTestLoop', 'SubnetValLoop', 'SupernetTrainLoop']
