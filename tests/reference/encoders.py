"""Plain twins of the fast encoder forms."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tswork.encoders.base import Encoder
from tswork.encoders.causal_mixture import CausalMixture
from tswork.encoders.dilated_conv import Block, DilatedConv
from tswork.encoders.recurrent import Recurrent
from tswork.encoders.transformer import Layer, Transformer, positions


def dilated_conv(encoder: DilatedConv, x: Tensor, keep: Tensor | None = None) -> Tensor:
    """Frames of one batch without padding, block by block as the paper draws them; steps not to `keep` are hidden."""
    hidden: Tensor = encoder.project(torch.nan_to_num(x))
    shown = ~torch.isnan(x).any(-1, keepdim=True)
    hidden = (hidden * (shown if keep is None else shown & keep[..., None])).transpose(1, 2)
    for index, block in enumerate(encoder.blocks):
        assert isinstance(block, Block)
        dilation = 2**index
        kept = hidden if block.skip is None else functional.conv1d(hidden, block.skip.weight, block.skip.bias)
        for convolution in (block.first, block.second):
            padded = functional.pad(functional.gelu(hidden), (dilation, dilation))
            hidden = functional.conv1d(padded, convolution.weight, convolution.bias, dilation=dilation)
        hidden = hidden + kept
    return hidden.transpose(1, 2)


def causal_mixture(encoder: CausalMixture, x: Tensor, keep: Tensor | None = None) -> Tensor:
    """The trunk's frames through each causal convolution by itself; their mean."""
    frames = dilated_conv(encoder.trunk_encoder, x, keep).transpose(1, 2)
    seen = []
    for weight, bias in zip(encoder.mixture.weights, encoder.mixture.biases, strict=True):
        # torch's kernels are (out, in, tap), and their last tap meets the present step.
        padded = functional.pad(frames, (len(weight) - 1, 0))
        seen.append(functional.conv1d(padded, weight.flip(0).permute(2, 1, 0), bias))
    return torch.stack(seen).mean(dim=0).transpose(1, 2)


def causal_convolution(x: Tensor, kernel: Tensor) -> Tensor:
    """The convolution as a loop over steps and taps."""
    rows = []
    for step in range(x.shape[1]):
        taps = [x[:, step - back] @ tap for back, tap in enumerate(kernel) if back <= step]
        rows.append(torch.stack(taps).sum(dim=0))
    return torch.stack(rows, dim=1)


def last_of_windows(encoder: Encoder, series: Tensor, window: int) -> Tensor:
    """The last frame of every window, one window at a time."""
    features = []
    for t in range(len(series)):
        piece = torch.full((window, series.shape[1]), torch.nan, dtype=series.dtype)
        first = max(0, t + 1 - window)
        piece[window - (t + 1 - first) :] = series[first : t + 1]
        features.append(encoder(piece[None]).values[0, -1])
    return torch.stack(features)


def recurrent(encoder: Recurrent, x: Tensor, lengths: Tensor) -> Tensor:
    """Layers of torch's own modules over packed sequences; padding comes out as zeros."""
    hidden: Tensor = encoder.project(x)
    for index, ahead in enumerate(encoder.forwards):
        assert isinstance(ahead, nn.LSTM | nn.GRU)
        whole = type(ahead)(
            ahead.input_size, ahead.hidden_size, batch_first=True, bidirectional=encoder.bidirectional, dtype=x.dtype
        )
        weights = dict(ahead.named_parameters())
        if encoder.backwards is not None:
            weights |= {f"{name}_reverse": weight for name, weight in encoder.backwards[index].named_parameters()}
        whole.load_state_dict(weights)
        packed = nn.utils.rnn.pack_padded_sequence(hidden, lengths, batch_first=True, enforce_sorted=False)
        hidden = nn.utils.rnn.pad_packed_sequence(whole(packed)[0], batch_first=True, total_length=x.shape[1])[0]
    return hidden


def transformer(encoder: Transformer, x: Tensor, lengths: Tensor) -> Tensor:
    """torch's own pre-norm layers, one sequence at a time without padding, stacked with zeros."""
    rows = []
    for row, length in zip(x, lengths.tolist(), strict=True):
        hidden: Tensor = encoder.project(row[:length])
        if encoder.join is not None:
            patch = encoder.stride
            filled = functional.pad(hidden, (0, 0, 0, -length % patch))
            weight, bias = encoder.join.weight, encoder.join.bias
            # Every patch as one long vector, and the kernel as a matrix that fits it.
            hidden = functional.linear(filled.reshape(-1, patch * encoder.dim), weight.transpose(1, 2).flatten(1), bias)
        hidden = (hidden + positions(hidden[None]))[None]
        for layer in encoder.layers:
            assert isinstance(layer, Layer)
            hidden = _torch_layer(layer, encoder.dim, x.dtype)(hidden)
        rows.append(encoder.norm(hidden)[0])
    return nn.utils.rnn.pad_sequence(rows, batch_first=True)


def _torch_layer(layer: Layer, dim: int, dtype: torch.dtype) -> nn.TransformerEncoderLayer:
    theirs = nn.TransformerEncoderLayer(
        dim, layer.heads, layer.widen.out_features, 0.0, "gelu", batch_first=True, norm_first=True, dtype=dtype
    )
    pairs = {
        "norm1": layer.first,
        "norm2": layer.second,
        "self_attn.out_proj": layer.out,
        "linear1": layer.widen,
        "linear2": layer.narrow,
    }
    weights = {f"{name}.{part}": getattr(ours, part) for name, ours in pairs.items() for part in ("weight", "bias")}
    weights["self_attn.in_proj_weight"] = layer.queries_keys_values.weight
    weights["self_attn.in_proj_bias"] = layer.queries_keys_values.bias
    theirs.load_state_dict(weights)
    return theirs.eval()
