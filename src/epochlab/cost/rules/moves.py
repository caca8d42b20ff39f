"""Operators that move, copy, make, pick or describe data, without arithmetic on it."""

from __future__ import annotations

MOVES_DATA = frozenset({
    # copies and layouts
    "_copy_from", "_copy_from_and_resize", "_reshape_alias", "_reshape_copy", "_to_copy",
    "_unsafe_view", "clone", "contiguous", "copy", "data", "detach", "detach_copy", "fill",
    "resize", "resize_as", "set", "slice_scatter", "select_scatter",
    "diagonal_scatter", "as_strided_scatter", "to", "zero", "zeros_like", "ones_like", "lift",
    "lift_fresh", "lift_fresh_copy", "alias", "alias_copy", "view_copy", "expand_copy",
    "permute_copy", "squeeze_copy", "unsqueeze_copy", "transpose_copy", "slice_copy",
    # joining, splitting, repeating, permuting
    "stack", "_stack", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes",
    "unsafe_chunk", "chunk", "tile", "repeat", "repeat_interleave", "flip", "roll", "rot90",
    "constant_pad_nd", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d",
    "replication_pad1d", "replication_pad2d", "replication_pad3d", "pixel_shuffle",
    "pixel_unshuffle", "channel_shuffle", "col2im", "im2col", "unfold", "unfold_backward",
    "reflection_pad1d_backward", "reflection_pad2d_backward", "replication_pad2d_backward",
    "slice_backward", "select_backward", "diagonal_backward", "split_with_sizes_copy", "block_diag",
    "_pad_packed_sequence", "_pack_padded_sequence", "tril", "triu", "combinations",
    "cartesian_prod", "meshgrid", "view_as_complex", "view_as_real", "complex", "polar",
    # looking up
    "embedding", "index", "index_select", "gather", "take", "take_along_dim", "masked_select",
    "masked_fill", "masked_scatter", "index_fill", "index_copy", "nonzero", "nonzero_static",
    "argwhere", "where", "upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d",
    "_upsample_nearest_exact1d", "_upsample_nearest_exact2d", "_upsample_nearest_exact3d",
    "max_unpool2d", "one_hot", "embedding_renorm", "_unsafe_index",
    "_unsafe_index_put", "_unsafe_masked_index",
    # making
    "arange", "empty", "empty_like", "empty_strided", "empty_permuted", "eye", "full", "full_like",
    "linspace", "logspace", "new_empty", "new_empty_strided", "new_full", "new_ones", "new_zeros",
    "ones", "rand", "rand_like", "randint", "randint_like", "randn", "randn_like", "randperm",
    "scalar_tensor", "tril_indices", "triu_indices", "zeros", "normal", "uniform", "exponential",
    "multinomial", "random", "vander", "hann_window", "hamming_window", "blackman_window",
    "kaiser_window", "log_normal", "cauchy", "geometric", "_efficientzerotensor",
    # describing
    "is_same_size", "is_pinned", "_local_scalar_dense", "item", "equal", "is_nonzero", "sym_size",
    "sym_numel", "sym_stride", "sym_storage_offset", "size", "stride", "_assert_async",
    "_assert_scalar", "_assert_tensor_metadata", "_fused_sdp_choice", "isfinite", "record_stream",
    "_conj", "_neg_view", "resolve_conj", "resolve_neg", "conj_physical",
})  # fmt: skip
