"""Read, edit and stop: what they see and change, and that nothing of them stays."""

from __future__ import annotations

import pytest
import torch

from kledit_lite.core.errors import KleditError
from kledit_lite.inside import Fired, discover, edit, read, stop


def forward(unet, rows=3):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, 4, 8, 8, generator=generator)
    text = torch.randn(rows, 5, 32, generator=generator)
    with torch.no_grad():
        return unet(x, 7, text).sample


@pytest.fixture
def net():
    """Linear, ReLU, Linear; no test may leave a hook behind."""
    torch.manual_seed(0)
    made = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    yield made
    for m in made.modules():
        assert not m._forward_hooks and not m._forward_pre_hooks


def hooks_in(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def test_a_hook_that_did_not_fire_is_noticed():
    fired = Fired(["a", "b"])
    fired.count["a"] = 2
    with pytest.raises(KleditError, match="1 of 2 hooks .* 'b' ran 0 times in 2 forward passes"):
        fired.expect(2)
    with pytest.raises(KleditError, match="was hooked did not run"):
        fired.expect()


def test_reading_the_output_of_one_is_the_input_of_the_next(net):
    x = torch.randn(4, 2)
    with read(net, net) as out, read(net, net, at="input") as given:
        y = net(x)
    assert torch.equal(given[net[0]], x) and torch.equal(out["2"], y)
    for one, following in ((net[0], net[1]), (net[1], net[2])):
        assert out[one] is given[following]
    assert out.order == given.order == ["0", "1", "2"]
    out.expect(1)
    out.expect()


def test_an_argument_by_its_name_however_it_is_given():
    class Sum(torch.nn.Module):
        def forward(self, a, b=None):
            return a if b is None else a + b

    one, x, y = Sum(), torch.ones(1), torch.full((1,), 5.0)
    for call in (lambda: one(x, y), lambda: one(x, b=y), lambda: one(a=x, b=y)):
        with read(one, [one], at="b") as b, read(one, [one], at="input") as a:
            assert call().item() == 6.0
        assert b[one] is y and a[one] is x
        with edit(one, {one: lambda v: -v}, at="b"), edit(one, {one: lambda v: 2 * v}, at="input"):
            assert call().item() == -3.0
    with read(one, [one], at="b"), pytest.raises(KleditError, match="Sum was called without 'b'"):
        one(x)


def test_what_is_kept(net):
    with read(net, ["0"], keep=None) as whole, read(net, ["0"], keep=2, take=len) as few:
        for rows in (1, 2, 3):
            net(torch.ones(rows, 2))
    assert [len(v) for v in whole.every("0")] == [1, 2, 3] and few.every(net[0]) == [2, 3]
    assert len(whole["0"]) == few["0"] == 3 and whole.calls == 3
    with read(net, ["1"]) as seen:
        pass
    with pytest.raises(KleditError, match="'1' has not run"):
        seen["1"]
    with pytest.raises(KleditError, match="'0' is not among what is read: 1"):
        seen["0"]


def test_gradients_flow_through_what_is_read(net):
    with read(net, ["0"]) as seen:
        net(torch.ones(1, 2))
    seen["0"].sum().backward()
    assert net[0].weight.grad is not None and net[2].weight.grad is None


def test_editing_is_out_of_place_and_ends_with_the_block(net):
    x = torch.randn(4, 2)
    before = net(x)
    with read(net, ["0"]) as raw, edit(net, {"0": torch.zeros_like}) as fired:
        with read(net, ["0"]) as edited:
            changed = net(x)
    assert raw["0"].abs().sum() > 0 and not edited["0"].any()
    assert torch.equal(changed, net[2](torch.zeros(4, 3))) and torch.equal(net(x), before)
    fired.expect()
    expected = net[2](net[1](net[0](x)) + 1)
    with edit(net, {net[2]: lambda h: h + 1}, at="input"):
        assert torch.equal(net(x), expected)


def test_an_edit_may_run_before_the_hooks_that_are_there(net):
    seen = []
    handle = net[0].register_forward_hook(lambda _m, _a, out: seen.append(out))
    with edit(net, {"0": torch.zeros_like}):
        net(torch.ones(1, 2))
    with edit(net, {"0": torch.zeros_like}, first=True):
        net(torch.ones(1, 2))
    handle.remove()
    assert seen[0].any() and not seen[1].any()


def test_stopping_ends_the_pass_and_says_if_it_never_came(net):
    x = torch.randn(1, 2)
    with read(net, net) as seen, stop(net, "1"):
        net(x)
        raise AssertionError("what follows the call is skipped")
    assert seen.order == ["0", "1"]
    with read(net, net) as seen, stop(net, net[1], at="input"):
        net(x)
    assert seen.order == ["0"]
    with pytest.raises(KleditError, match="never reached '2'"), stop(net, "2"):
        net[0](x)
    with read(net, net) as seen, stop(net, "2"):
        with stop(net, "0"):  # the inner one ends its own pass, and not the outer block
            net(x)
        net(x)
    assert seen.order == ["0", "0", "1", "2"]


def test_hooks_go_after_any_error(net):
    def broken(_value):
        raise RuntimeError("broken")

    for around in (
        lambda: read(net, ["0"], take=broken),
        lambda: edit(net, {"0": broken}),
        lambda: stop(net, "2"),
    ):
        with pytest.raises(RuntimeError), around():
            assert hooks_in(net)
            raise RuntimeError("in the block")
        assert not hooks_in(net)
    for around in (lambda: read(net, ["0"], take=broken), lambda: edit(net, {"0": broken})):
        with pytest.raises(RuntimeError, match="broken"), around():
            net(torch.ones(1, 2))
        assert not hooks_in(net)
    with pytest.raises(KleditError, match="has no module 'x'"), edit(net, {"0": len, "x": len}):
        pass
    with pytest.raises(KleditError, match="'0' twice"), read(net, ["0", net[0]]):
        pass
    with pytest.raises(KleditError, match="Linear is not part of Sequential"):
        with read(net, [torch.nn.Linear(1, 1)]):
            pass


def test_models_that_hide_hooks_are_refused_by_all_three(net):
    compiled = torch.compile(net)
    for around in (read(compiled, ["0"]), edit(compiled, {"0": len}), stop(compiled, "0")):
        with pytest.raises(KleditError, match="_orig_mod"), around:
            pass
    with pytest.raises(KleditError, match=r"got str; pass pipeline\.unet, a text encoder"):
        with read("model", []):
            pass


def test_sites_modules_and_names_are_one_place(sd2_pipe):
    unet = sd2_pipe.unet
    site = discover(unet, "cross-attention")[3]
    with read(unet, [site], at="encoder_hidden_states") as seen:
        forward(unet)
    assert seen[site] is seen[site.name] is seen[unet.get_submodule(site.name)]
    assert seen[site].shape == (3, 5, 32)


def test_text_encoders_are_read_too(pipe):
    from kledit_lite.inside.blocks import blocks, hidden_of

    encoder = pipe.text_encoder
    ids = torch.tensor([[1, 2, 3]])
    with read(encoder, blocks(encoder), take=hidden_of) as seen, torch.no_grad():
        states = encoder(ids, output_hidden_states=True).hidden_states
    for block, state in zip(blocks(encoder), states[1:], strict=True):
        assert torch.equal(seen[block], state)
