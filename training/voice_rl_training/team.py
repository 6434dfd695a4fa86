"""A team of processes that trains one network: started by `torchrun`, it takes the same steps as one process would, up to rounding.

batch --row i to process i mod N--> forward --logits of all--> the loss of the whole batch, in every process
      --backward through its own rows--> gradients, summed over the team --> the same step everywhere

The losses divide by counts of labels in the whole batch, so no average of the processes' own losses equals them: hence the logits are
gathered (2 MB a step) before the loss. Random numbers are drawn for the whole batch in every process, dropout's too, so that they are those
of one process and the processes stay in step. Only the first one writes files; all of them read them: on several machines the work folder is
a shared one.
"""

import os
from collections.abc import Iterable
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from voice_rl_plugin.errors import ConfigError
from voice_rl_training.batches import Batch
from voice_rl_training.networks import Encoder, Layer

WAIT = timedelta(hours=24)
"""The others wait so long for the first one, which makes the corpus; torchrun ends them all when one dies."""


class Team:
    """The processes that train together; this one alone where `size` is 1.

    Args:
        rank: which one this is, from 0.
        size: how many there are.
    """

    def __init__(self, *, rank: int = 0, size: int = 1) -> None:
        self.rank = rank
        self.size = size

    @property
    def leads(self) -> bool:
        """Whether this is the one that writes files and speaks."""
        return self.rank == 0

    def wait(self) -> None:
        """Wait until all are here."""
        if self.size > 1:
            dist.barrier()

    def adopt(self, encoder: Encoder, *others: nn.Module) -> None:
        """Give all processes the first one's weights, and the encoder a dropout that draws for the whole batch."""
        if self.size == 1:
            return
        for module in (encoder, *others):
            for tensor in module.state_dict().values():
                dist.broadcast(tensor, 0)
        for holder in (encoder, *(one for one in encoder.layers if isinstance(one, Layer))):
            setattr(holder, "dropout", _WholeBatchDropout(float(getattr(holder.dropout, "share")), self))  # noqa: B009, B010

    def part(self, batch: Batch) -> Batch:
        """Return this process's rows of a batch; where there are too few, a row that `whole` leaves out."""
        if self.size == 1:
            return batch
        own = slice(self.rank, None, self.size) if self.rank < len(batch["ids"]) else slice(1)
        return {name: tensor[own] for name, tensor in batch.items()}

    def whole(self, output: Tensor, count: int) -> Tensor:
        """Return the logits of the whole batch; gradients flow into this process's rows alone.

        Args:
            output: of this process's rows, [b, T, H].
            count: rows of the whole batch.
        """
        if self.size == 1:
            return output
        most = -(-count // self.size)
        own = torch.zeros(most, *output.shape[1:])
        own[: len(output)] = output.detach()
        gathered = [torch.empty_like(own) for _ in range(self.size)]
        dist.all_gather(gathered, own)
        whole = torch.stack(gathered, 1).flatten(0, 1)[:count]  # row i came from process i mod N
        place = torch.arange(count)[self.rank :: self.size]  # none where the rows are fewer than the processes
        return whole.index_copy(0, place, output[: len(place)])

    def backward(self, loss: Tensor, parameters: Iterable[nn.Parameter]) -> None:
        """Compute the gradients of the whole batch's loss, in every process."""
        if self.size == 1:
            loss.backward()  # type: ignore[no-untyped-call]
            return
        learned = [one for one in parameters if one.requires_grad]
        gradients = torch.autograd.grad(loss, learned, allow_unused=True)
        flat = torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for p, g in zip(learned, gradients, strict=True)])
        dist.all_reduce(flat)
        for parameter, gradient in zip(learned, torch.split(flat, [one.numel() for one in learned]), strict=True):
            parameter.grad = gradient.view_as(parameter)


class _WholeBatchDropout(nn.Module):
    """Drops whole channels of a sentence, as the one that it replaces does in one process."""

    def __init__(self, share: float, team: Team) -> None:
        super().__init__()
        self.share = share
        self._team = team
        self.count = 0
        """Rows of the whole batch at hand."""

    def forward(self, x: Tensor) -> Tensor:
        """Return `x`, [b, T, D], with some channels at zero and the others raised."""
        if not self.training or not self.share:
            return x
        kept = torch.rand(self.count, 1, x.shape[2])[self._team.rank :: self._team.size] >= self.share
        if not len(kept):  # the row that is left out
            return x
        return x * (kept.to(x.dtype) / (1 - self.share))


def expect_rows(encoder: Encoder, count: int) -> None:
    """Tell a team's dropout how many rows the whole batch has."""
    for module in encoder.modules():
        if isinstance(module, _WholeBatchDropout):
            module.count = count


def join_team() -> Team:
    """Return the team that `torchrun` has started us in, or one of this process alone.

    Raises:
        ConfigError: torchrun's environment is there and the others cannot be found.
    """
    if "RANK" not in os.environ or int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Team()
    try:
        dist.init_process_group("gloo", timeout=WAIT)
    except (RuntimeError, ValueError) as error:
        raise ConfigError(f"torchrun: the processes do not find each other: {str(error).splitlines()[0]:.200}") from error
    return Team(rank=dist.get_rank(), size=dist.get_world_size())


def leave_team(team: Team) -> None:
    """Say goodbye to the others."""
    if team.size > 1:
        dist.destroy_process_group()
