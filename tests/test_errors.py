import pytest

from octavo.errors import OctavoError, ScanUnsuitableError, unknown_name


@pytest.mark.parametrize(
    ("got", "nearest"),
    [("grad_cam", "grad-cam"), ("Care", "care"), ("gradcam", "grad-cam"), ("cares", "care")],
)
def test_the_nearest_name_is_offered(got, nearest):
    said = unknown_name("an explainer", got, ["care", "grad-cam"])
    assert said == f"'{got}' is not an explainer; wanted one of: care, grad-cam; did you mean '{nearest}'?"


@pytest.mark.parametrize("got", ["zebra", "", None, 7])
def test_nothing_is_offered_where_nothing_is_near(got):
    said = unknown_name("an explainer", got, ["care", "grad-cam"])
    assert said == f"{str(got)!r} is not an explainer; wanted one of: care, grad-cam"


def test_names_are_listed_in_the_order_given_and_may_come_from_anything():
    assert "one of: b, a, c" in unknown_name("a letter", "x", {"b": 1, "a": 2, "c": 3})
    assert "one of: b, a" in unknown_name("a letter", "x", (name for name in "ba"))


def test_a_name_with_line_breaks_stays_one_line():
    assert "\n" not in unknown_name("a command", "two\nlines", ["predict"])


def test_whoever_catches_a_refusal_catches_its_kinds():
    assert issubclass(ScanUnsuitableError, OctavoError)
    # what parses the command line would catch a ValueError and frame it in several lines
    assert not issubclass(OctavoError, ValueError)
