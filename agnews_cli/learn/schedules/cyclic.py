"""Half a cosine to zero, and again from the peak in each cycle (SGDR, Loshchilov and Hutter 2017,
arXiv 1608.03983; of cycles of one length, as in Huang et al. 2017, arXiv 1704.00109, eq. 2; neither
warms up). Here is one cycle; `learn/loop/learning_rate` begins it anew."""

from __future__ import annotations

from agnews_cli.learn.schedules import cosine

EXAMPLE: dict[str, object] = {"schedule": "cyclic", "snapshots": 2, "warmup": 0.1}

share = cosine.share
