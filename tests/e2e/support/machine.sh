#!/bin/sh
# A machine to try a service on: a real systemd as the first process of namespaces of its own.
#
#   unshare --mount --pid --uts --fork --kill-child=KILL --cgroup --propagation private \
#       machine.sh USR CGROUP
#
# USR is laid over /usr, as `make install DESTDIR=...` fills it; CGROUP is the name of the control
# group that everything runs in.  /etc may be written to and is as it was afterwards; /run, /tmp,
# /home and what changes below /var begin empty; the network is the host's, so that a test's servers
# are reached.  What a boot would do to the host (its clock, devices, kernel variables) does not
# happen: the units that every boot starts are not there, save those that make users and files, and
# /sys and /proc/sys are read-only.
set -eu
usr=$1
group=$2

# The manager's own control groups, below that of whoever has started this.
if [ "${3-}" != inside ]; then
	for d in /sys/fs/cgroup/*; do umount "$d" 2>/dev/null || :; done
	umount /sys/fs/cgroup 2>/dev/null || :
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	mkdir "/sys/fs/cgroup/$group"
	echo 0 >"/sys/fs/cgroup/$group/cgroup.procs"
	exec unshare --cgroup /bin/sh "$0" "$usr" "$group" inside
fi
umount /sys/fs/cgroup
mount -t proc proc /proc
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mount -o remount,bind,ro /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup

mount -t overlay -o "ro,lowerdir=$usr:/usr" overlay /usr
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock /run/etc/upper /run/etc/work /run/none
mount -t overlay -o lowerdir=/etc,upperdir=/run/etc/upper,workdir=/run/etc/work overlay /etc
for d in /home /var/lib /var/spool /var/log /var/cache; do
	mount -t tmpfs -o mode=755 tmpfs "$d"
done
mkdir -m 2755 /var/log/journal
for d in /tmp /var/tmp; do
	mount -t tmpfs -o mode=1777 tmpfs "$d"
done
# Generators would take their time with each daemon-reload.
for d in /usr/lib/systemd/system/*.wants /etc/systemd/system/*.wants \
	/usr/lib/systemd/system-generators /usr/lib/systemd/user-generators; do
	if [ -d "$d" ]; then mount -t tmpfs tmpfs "$d"; fi
done

mkdir -p /etc/sysusers.d /etc/tmpfiles.d /etc/systemd/system /etc/systemd/journald.conf.d
echo 'u alice 61001 "a person" /home/alice /bin/sh' >/etc/sysusers.d/machine.conf
echo 'd /home/alice 0700 alice alice' >/etc/tmpfiles.d/machine.conf
# The kernel's log and its audit are the host's.
printf '[Journal]\nAudit=\nReadKMsg=no\n' >/etc/systemd/journald.conf.d/machine.conf
ln -s /dev/null /etc/systemd/system/systemd-journald-audit.socket
cat >/etc/systemd/system/machine.target <<'END'
[Unit]
Requires=systemd-journald.service systemd-sysusers.service systemd-tmpfiles-setup.service
After=systemd-journald.service systemd-sysusers.service systemd-tmpfiles-setup.service
AllowIsolate=yes
END
mount --make-rshared / # as a booted system has it: credentials are mounted through it
exec env -i container=other PATH="$PATH" SYSTEMD_LOG_TARGET=journal \
	/lib/systemd/systemd --system --unit=machine.target --show-status=0
