"""MoCo's queue and slow copy."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from tswork.methods.queue import Follower, Queue
from tswork.random import seeded


def rows(first: int, count: int) -> torch.Tensor:
    """Rows that say which embedding they are."""
    return torch.arange(first, first + count, dtype=torch.float32)[:, None].expand(count, 3)


def test_it_begins_with_random_directions_that_follow_from_the_seed() -> None:
    queues = []
    for _ in range(2):
        with seeded(1):
            queues.append(Queue(6, 3))
    assert torch.equal(queues[0].read(), queues[1].read())
    torch.testing.assert_close(queues[0].read().norm(dim=1), torch.ones(6))


def test_the_oldest_make_room_for_the_newest() -> None:
    queue = Queue(5, 3)
    queue.write(rows(0, 3))
    assert queue.read()[:3, 0].tolist() == [0, 1, 2]
    queue.write(rows(3, 4))
    assert sorted(queue.read()[:, 0].tolist()) == [2, 3, 4, 5, 6]
    queue.write(rows(7, 1))
    assert sorted(queue.read()[:, 0].tolist()) == [3, 4, 5, 6, 7]


@pytest.mark.parametrize("count", [5, 6, 12])
def test_of_more_than_fit_the_last_ones_stay(count: int) -> None:
    queue = Queue(5, 3)
    queue.write(rows(0, 2))
    queue.write(rows(10, count))
    assert sorted(queue.read()[:, 0].tolist()) == list(range(10 + count - 5, 10 + count))
    queue.write(rows(50, 1))
    assert sorted(queue.read()[:, 0].tolist()) == [*range(10 + count - 4, 10 + count), 50]


def test_what_was_read_does_not_change_when_more_is_written() -> None:
    queue = Queue(4, 3)
    read = queue.read()
    before = read.clone()
    queue.write(rows(0, 4))
    assert torch.equal(read, before)


def test_half_precision_is_stored_in_single() -> None:
    queue = Queue(4, 3)
    queue.write(rows(0, 4).bfloat16())
    assert queue.read().dtype == torch.float32


def test_it_is_part_of_the_state() -> None:
    queue, other = Queue(4, 3), Queue(4, 3)
    queue.write(rows(0, 3))
    other.load_state_dict(queue.state_dict())
    other.write(rows(3, 1))
    assert other.read()[:, 0].tolist() == [0, 1, 2, 3]


def test_a_follower_is_an_exponential_mean_that_takes_no_gradient() -> None:
    module = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    follower = Follower(module, momentum=0.9)
    assert not any(parameter.requires_grad for parameter in follower.parameters())
    expected = [parameter.detach().clone() for parameter in module.parameters()]
    for step in range(3):
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(step + 1)
        follower.follow(module)
        expected = [0.9 * old + 0.1 * new.detach() for old, new in zip(expected, module.parameters(), strict=True)]
        for found, wanted in zip(follower.copy.parameters(), expected, strict=True):
            torch.testing.assert_close(found, wanted)


def test_without_momentum_it_is_the_module_itself_and_at_first_it_always_is() -> None:
    module = nn.Linear(2, 3)
    slow, fast = Follower(module, momentum=0.99), Follower(module, momentum=0.0)
    before = copy.deepcopy(module.state_dict())
    with torch.no_grad():
        module.weight += 1
    fast.follow(module)
    assert torch.equal(slow.copy.state_dict()["weight"], before["weight"])
    torch.testing.assert_close(fast.copy.state_dict()["weight"], module.weight.detach())
