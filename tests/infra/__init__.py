"""Whole hosts in the lab, as the playbook leaves them and as faults find them."""
