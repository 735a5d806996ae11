"""The lab: real hosts, each with its own systemd, on one Linux machine.

Vagrant starts them as LXC containers from a box that `./dev box` builds. What this package does
is needed on machines where no image may be downloaded or no virtual machine can run; with
VirtualBox or libvirt, plain `vagrant up` needs nothing from here.
"""
