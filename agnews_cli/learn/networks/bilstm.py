"""A bidirectional LSTM (Graves and Schmidhuber 2005), of whose states the largest over the text is
taken (Lai et al. 2015). Padding is never read: neither direction begins in it."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from agnews_cli.learn.kinds.word_network import WordNetwork

EXAMPLE: dict[str, object] = {"width": 6}


class BilstmStates(WordNetwork):
    def begin(self, width: int) -> int:
        self.lstm = nn.LSTM(width, self.asked.width, batch_first=True, bidirectional=True)
        return 2 * int(self.asked.width)

    def states(self, words: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        # Text first, whichever side is padded; afterwards each state goes back to its token.
        order = torch.argsort(mask, dim=1, descending=True, stable=True)
        words = words.gather(1, order.unsqueeze(-1).expand_as(words))
        lengths = mask.sum(1).clamp_min(1).cpu()
        with torch.autocast(words.device.type, enabled=False):  # it has no half precision on a CPU
            packed = pack_padded_sequence(
                words.float(), lengths, batch_first=True, enforce_sorted=False
            )
            states, _ = pad_packed_sequence(
                self.lstm(packed)[0], batch_first=True, total_length=words.shape[1]
            )
        back = torch.argsort(order, dim=1).unsqueeze(-1)
        return states.gather(1, back.expand(-1, -1, states.shape[2]))


NETWORK = BilstmStates
