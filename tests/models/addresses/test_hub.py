"""A hub that is out of reach is asked once, and what it gave before is there without it."""

import socket

import pytest
import torch
from foolbench.core import WeightsError
from foolbench.models import load_model
from safetensors.torch import save_file
from torchvision.transforms.v2.functional import normalize


@pytest.fixture
def out_of_reach(monkeypatch, tmp_path):
    """The hub's library, empty, where nothing answers and nobody waits."""
    pytest.importorskip("timm")
    hub = pytest.importorskip("huggingface_hub")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setattr(hub.constants, "ENDPOINT", f"http://127.0.0.1:{free.getsockname()[1]}")
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("time.sleep", lambda seconds: pytest.fail("waited for a hub that is out of reach"))
    return hub


def test_a_hub_out_of_reach_is_asked_once(out_of_reach):
    before = out_of_reach.constants.HF_HUB_OFFLINE
    with pytest.raises(
        WeightsError, match=r"timm:resnet18 could not be had \(.*127\.0\.0\.1:\d+ cannot be reached: .*= a"
    ):
        load_model("timm:resnet18")
    assert before == out_of_reach.constants.HF_HUB_OFFLINE


def test_what_the_hub_gave_before_is_there_without_it(out_of_reach, tmp_path):
    import timm

    torch.manual_seed(7)
    net = timm.create_model("test_resnet").eval()
    kept = tmp_path / f"models--{net.pretrained_cfg['hf_hub_id'].replace('/', '--')}"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text("0" * 40)
    (kept / "snapshots" / ("0" * 40)).mkdir(parents=True)
    save_file(net.state_dict(), kept / "snapshots" / ("0" * 40) / "model.safetensors")
    x, known = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)), net.pretrained_cfg
    model = load_model("timm:test_resnet", size=[64, 64])
    assert torch.allclose(model(x), net(normalize(x, list(known["mean"]), list(known["std"]))), atol=1e-5)
