"""The operators that an exported graph may hold: they only compute.

None of them reads or writes a file, returns uninitialised memory, or runs other code. Random
numbers are drawn only for dropout: by the dropout operators, and by `lstm`, `gru`, `rnn_relu`,
`rnn_tanh` and `scaled_dot_product_attention`, which have an argument for dropout. Each is allowed
with all its overloads (`add.Tensor`, `add.Scalar`) and in place (`relu_`).
"""

import re

import torch

_ATEN = """
    abs absolute acos acosh adaptive_avg_pool1d _adaptive_avg_pool2d adaptive_avg_pool2d
    adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d add addbmm
    addcdiv addcmul addmm addmv addr affine_grid_generator alias all allclose alpha_dropout amax
    amin aminmax angle any arange arccos arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin
    argsort argwhere asin asinh _assert_async _assert_scalar _assert_tensor_metadata atan atan2
    atanh atleast_1d atleast_2d atleast_3d avg_pool1d avg_pool2d avg_pool3d baddbmm batch_norm
    bilinear bincount bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift
    bitwise_xor block_diag bmm broadcast_tensors broadcast_to bucketize cartesian_prod cat cdist
    ceil celu chain_matmul channel_shuffle chunk clamp clamp_max clamp_min clip clone col2im
    column_stack combinations complex concat concatenate _conj constant_pad_nd contiguous conv1d
    conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d _convolution convolution copy
    copysign corrcoef cos cosh cosine_similarity count_nonzero cov cross cummax cummin cumprod
    cumsum cumulative_trapezoid deg2rad det detach diag diag_embed diagonal diff digamma dist div
    divide dot dropout dsplit dstack einsum elu embedding embedding_bag eq equal erf erfc erfinv exp
    exp2 expand expand_as expm1 eye feature_alpha_dropout feature_dropout fft_fft fft_fft2 fft_fftn
    fft_fftshift fft_ifft fft_ifft2 fft_ifftn fft_ifftshift fft_irfft fft_irfft2 fft_rfft fft_rfft2
    fill flatten flip fliplr flipud float_power floor floor_divide fmax fmin fmod frac
    frobenius_norm full full_like gather ge gelu ger glu greater greater_equal grid_sampler
    grid_sampler_2d grid_sampler_3d group_norm gru gru_cell gt hardshrink hardsigmoid hardswish
    hardtanh heaviside histc hsplit hstack hypot im2col imag index index_add index_copy index_fill
    index_put index_select inner instance_norm inverse isclose isfinite isin isinf isnan isneginf
    isposinf isreal item kron kthvalue l1_loss layer_norm ldexp le leaky_relu lerp less less_equal
    lgamma lift_fresh lift_fresh_copy linalg_cross linalg_det linalg_inv linalg_matmul
    linalg_matrix_norm linalg_multi_dot linalg_norm linalg_solve linalg_vector_norm linear linspace
    _local_scalar_dense log log10 log1p log2 log_sigmoid _log_softmax log_softmax logaddexp
    logaddexp2 logcumsumexp logical_and logical_not logical_or logical_xor logit logspace logsumexp
    lstm lstm_cell lt masked_fill masked_scatter masked_select matmul matrix_power max max_pool1d
    max_pool2d max_pool2d_with_indices max_pool3d max_pool3d_with_indices maximum mean median
    meshgrid min minimum mish mm mode moveaxis movedim mse_loss msort mul multiply mv nan_to_num
    nanmean nanmedian nansum narrow narrow_copy native_batch_norm _native_batch_norm_legit
    _native_batch_norm_legit_no_training native_group_norm native_layer_norm ne neg negative
    new_full new_ones new_zeros nonzero norm not_equal nuclear_norm numpy_T one_hot ones ones_like
    outer pad pairwise_distance permute pixel_shuffle pixel_unshuffle positive pow prelu prod
    quantile rad2deg ravel real reciprocal reflection_pad1d reflection_pad2d reflection_pad3d relu
    relu6 remainder renorm repeat repeat_interleave replication_pad1d replication_pad2d
    replication_pad3d reshape reshape_as resolve_conj resolve_neg rms_norm rnn_relu rnn_relu_cell
    rnn_tanh rnn_tanh_cell roll rot90 round rsqrt rsub scalar_tensor scaled_dot_product_attention
    scatter scatter_add scatter_reduce searchsorted select select_scatter selu sgn sigmoid sign
    signbit silu sin sinc sinh slice slice_scatter smooth_l1_loss _softmax softmax softplus
    softshrink sort special_erf special_expit special_log_softmax special_logit special_softmax
    split split_with_sizes sqrt square squeeze stack std std_mean sub subtract sum svd swapaxes
    swapdims sym_constrain_range sym_constrain_range_for_size sym_is_contiguous sym_numel sym_size
    sym_storage_offset sym_stride t take take_along_dim tan tanh tensor_split tensordot threshold
    tile to _to_copy topk trace transpose trapezoid triangular_solve tril tril_indices triu
    triu_indices true_divide trunc type_as unbind unflatten unfold unique_consecutive unique_dim
    unsafe_chunk unsafe_split unsafe_split_with_sizes _unsafe_view unsqueeze upsample_bicubic2d
    _upsample_bicubic2d_aa upsample_bilinear2d _upsample_bilinear2d_aa upsample_linear1d
    upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d
    _upsample_nearest_exact2d _upsample_nearest_exact3d upsample_trilinear3d vander var var_mean
    vdot view view_as view_as_complex view_as_real vsplit vstack where xlogy zero zeros zeros_like
"""
ATEN = frozenset(_ATEN.split())
"""Names of PyTorch's own operators, without overload."""
HIGHER_ORDER = frozenset({"cond", "wrap_with_autocast", "wrap_with_set_grad_enabled"})
"""Operators that run a graph, whose own operators are checked too."""
ON_NUMBERS = re.compile(
    r"_operator\.(getitem|add|sub|mul|neg|pow|mod|floordiv|truediv|eq|ne|lt|le|gt|ge|and_|or_)"
    r"|torch\.sym_(float|fresh_size|int|ite|max|min|not|sqrt|sum)|math\.(ceil|floor|sqrt|trunc)"
)
"""Arithmetic of Python's numbers: sizes, and what is computed from them."""
TARGET = re.compile(r"torch\.ops\.(aten|higher_order)\.(\w+)(?:\.(\w+))?")


def is_allowed(target: str) -> bool:
    """Return whether a graph may call this, such as `torch.ops.aten.add.Tensor`."""
    if ON_NUMBERS.fullmatch(target):
        return True
    named = TARGET.fullmatch(target)
    if named is None:
        return False
    library, name, overload = named.groups()
    if library == "higher_order":
        return name in HIGHER_ORDER and overload is None
    if name not in ATEN and name.removesuffix("_") not in ATEN:
        return False
    operator = getattr(torch.ops.aten, name, None)
    return operator is not None and (overload is None or overload in operator.overloads())
