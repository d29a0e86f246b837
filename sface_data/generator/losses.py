"""The losses of StyleGAN2, as functions of logits, images and gradients.

Non-saturating loss: Goodfellow et al., 2014 (https://arxiv.org/abs/1406.2661). R1: Mescheder et al., 2018
(https://arxiv.org/abs/1801.04406). Path length: Karras et al., 2020 (https://arxiv.org/abs/1912.04958),
section 3.2.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

PATH_DECAY = 0.01  # how fast the mean path length follows


def generator_loss(fake_logits: Tensor) -> Tensor:
    """-log sigmoid of the discriminator's logits [N,1] on generated images, averaged."""
    return F.softplus(-fake_logits).mean()


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Cross-entropy of authentic against generated, from logits [N,1] each, averaged over each."""
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def r1_penalty(real_logits: Tensor, real_images: Tensor) -> Tensor:
    """Mean squared norm of the gradient of the logits [N,1] with respect to the images [N,C,H,W].

    Can be differentiated again. An image's logit depends on the others of its group through the minibatch
    standard deviation; as everywhere, the gradient of their sum is taken.
    """
    (gradient,) = torch.autograd.grad(real_logits.sum(), real_images, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean()


def path_lengths(images: Tensor, ws: Tensor, directions: Tensor) -> Tensor:
    """How far images move with w: the norm of the Jacobian's product with random directions.

    Args:
        images: float32 [N,C,H,W], made from ws.
        ws: float32 [N,num_ws,w_dim].
        directions: standard normal [N,C,H,W].

    Returns:
        [N]; can be differentiated again.
    """
    pixels = images.shape[2] * images.shape[3]
    (gradient,) = torch.autograd.grad((images * directions).sum() / pixels**0.5, ws, create_graph=True)
    return gradient.square().sum(dim=2).mean(dim=1).sqrt()
