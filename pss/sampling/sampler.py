"""What a sampler is: it plans iterations, and names candidates at the end."""

from typing import (
    Any,
    Dict,
    List,
    NamedTuple,
    Optional,
    Protocol,
    Sequence,
    Tuple,
)

from ..structures import Budget, Subnet
from .pool import SubnetPool

# For each budget the subnets to choose from, with their scores if any.
Candidates = Dict[Budget, List[Tuple[Subnet, Optional[float]]]]


class Pass(NamedTuple):
    """One forward and backward pass of an iteration.

    Attributes:
        name: ends the names of its losses in the log; different in each pass.
        subnet: what it trains.
        candidates: if there are any, the one of them with the least loss on the
            batch at hand takes ``subnet``'s place.
    """
    name: str
    subnet: Subnet
    candidates: Tuple[Subnet, ...] = ()


# The passes of an iteration, and the pool that its score goes to, if any.
Plan = Tuple[Tuple[Pass, ...], Optional[SubnetPool]]


class Sampler(Protocol):
    """Decides which subnets are trained.

    A registered class takes ``space`` (:class:`.SearchSpace`), ``costs`` (a
    :class:`.CostTable` for each resource) and ``budgets`` (all levels of all
    resources), and further arguments that a config may set.

    Attributes:
        budgets: the levels that get a subnet at the end of training.
        pools: one for each budget, or none at all.

    It may also have

    - a ``grid``, a list of subnets, if it trains no others: then a search
      chooses from these only;
    - ``observe(pool, sampled, losses)``, which takes what an iteration tells:
      the pool that the plan named, the plan's second pass, and the
      cross-entropies of all passes by name, means over all processes. Without
      it, the pool is updated with minus the second pass's;
    - ``reset()``, which forgets all observations at the start of a training.
    """
    budgets: List[Budget]
    pools: Sequence[SubnetPool]

    def plan(self, seed: int, iteration: int, progress: float) -> Plan:
        """Plans an iteration: its passes, the largest subnet first, since it
        teaches the others, and the pool that the score of the second goes to.

        It must be a function of its arguments and the pools, so that all
        processes, and a resumed run, train the same.

        Args:
            seed: of the run.
            iteration: counted from 0 over the whole training.
            progress: share of the training that is done, from 0.
        """

    def candidates(self, num: int) -> Candidates:
        """Subnets that each budget's is chosen from, at most about ``num``;
        budgets without any are left out."""

    def scalars(self, progress: float) -> Dict[str, float]:
        """Values to log in every iteration."""

    def state_dict(self) -> List[Dict[str, Any]]:
        """What a checkpoint keeps: lists, dicts, texts and numbers."""

    def load_state_dict(self, state: List[Dict[str, Any]]) -> None:
        """Restores what :meth:`state_dict` returned.

        Raises:
            InputError: if it does not fit; nothing has changed then.
        """
