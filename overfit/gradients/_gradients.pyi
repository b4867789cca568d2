import numpy as np
from numpy.typing import NDArray

AVAILABLE: bool

def weight_gradient(
    pictures: NDArray[np.float32],
    gradients: NDArray[np.float32],
    threads: int,
    weights: NDArray[np.float32],
    bias: NDArray[np.float32],
) -> None: ...
