"""The certificate that a host makes for itself."""

from tests.support.lab import LabHost


def test_one_that_fits_no_more_is_renewed_by_its_unit(node: LabHost) -> None:
    own = "/etc/ssl/cairn/own"
    host = node.inside
    before = host.check_output("readlink %s", own)
    host.check_output(f"echo another > {own}/names; systemctl start proxy-certificate.service")
    assert host.check_output("readlink %s", own) != before
    assert node.address in host.file(f"{own}/names").content_string


def test_a_timer_renews_it(node: LabHost) -> None:
    assert node.inside.check_output("systemctl is-enabled proxy-certificate.timer") == "enabled"
    assert node.inside.service("proxy-certificate.timer").is_running
