import string
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.errors import ConfigError, ModelError
from churn.storage.files import check_name, inside

ALLOWED = string.ascii_lowercase + string.digits + "._-"


@given(st.from_regex(r"[a-z0-9][a-z0-9._-]{0,63}", fullmatch=True))
def test_an_allowed_name_comes_back_as_it_is(name):
    assert check_name(name) == name


@given(st.text())
def test_every_accepted_text_is_a_plain_file_name(text):
    with suppress(ConfigError):
        check_name(text)
        assert set(text) <= set(ALLOWED)
        assert Path(text).name == text


@pytest.mark.parametrize(
    "name",
    ["", "../../etc", "a/b", "a:b", "a\0b", "Spring", "a\n", ".hidden", "-rf", "é", "a" * 65],
)
def test_an_unsafe_name_is_refused_with_an_example(name):
    with pytest.raises(ConfigError, match=r'^campaign must be 1 to 64 .* Write e\.g\. "spring'):
        check_name(name, what="campaign")


def test_a_long_name_is_cut_in_the_message():
    with pytest.raises(ConfigError) as caught:
        check_name("x" * 100_000)
    assert len(str(caught.value)) < 300


def test_a_file_inside_need_not_exist(tmp_path):
    assert inside(tmp_path, "heads/lapse.txt") == tmp_path.resolve() / "heads" / "lapse.txt"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "/etc/passwd", "//", "heads/../../x", "a\0"]
)
def test_a_name_that_leads_out_is_refused(tmp_path, name):
    with pytest.raises(ModelError, match=r"inside it, got .* source you trust"):
        inside(tmp_path, name)


@pytest.mark.parametrize("linked", ["heads", "heads/lapse.txt"])
def test_a_symbolic_link_on_the_way_is_refused(tmp_path, linked):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    bundle = tmp_path / "bundle"
    (bundle / linked).parent.mkdir(parents=True)
    (bundle / linked).symlink_to(elsewhere)
    with pytest.raises(ModelError, match=r"symbolic link.*Put the file itself there"):
        inside(bundle, "heads/lapse.txt")


def test_the_directory_itself_may_be_reached_through_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert inside(tmp_path / "link", "x") == (tmp_path / "real" / "x").resolve()


@given(st.text(alphabet="./a\\ é", max_size=20))
def test_whatever_the_name_the_path_stays_inside(name):
    directory = Path("/bundles/one")
    with suppress(ModelError):
        path = inside(directory, name)
        assert path != directory
        assert path.resolve().is_relative_to(directory)
