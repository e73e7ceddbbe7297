# The first process of a simulated host, in namespaces of its own: FOLDER NAME SHARED FD, where the last is told when it boots
set -e
folder=$1 name=$2 shared=$3 root=$1/root
mount --make-rprivate /
mount -t overlay "simhost-$name" -o "lowerdir=/,upperdir=$folder/disk/upper,workdir=$folder/disk/work,xino=off" "$root"
mkdir -p "$root/srv/shared"
mount --bind "$shared" "$root/srv/shared"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys" 2>/dev/null || mount --rbind /sys "$root/sys"
mount -t tmpfs -o mode=755,size=1m cgroup "$root/sys/fs/cgroup" || true
mount -t tmpfs -o mode=755,size=1m dev "$root/dev"
for device in null zero full random urandom tty fuse; do
    [ -e "/dev/$device" ] && { touch "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"; }
done
mkdir -p "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for number in 0 1 2; do ln -s "fd/$number" "$root/dev/$(echo stdin stdout stderr | cut -d' ' -f$((number + 1)))"; done
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
mount -t tmpfs -o mode=755 run "$root/run"
mkdir -p "$root/run/sshd" "$root/run/lock"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
hostname "$name"
cd "$root"
mkdir -p mnt/.old
pivot_root . mnt/.old
cd /
umount -l /mnt/.old
echo up >&"$4"
eval "exec $4>&-"
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 /usr/bin/tini -- /bin/sh -c '
    /usr/sbin/sshd -e 2>>/var/log/sshd.log
    if [ -x /var/lib/simhost/user-data ] && [ ! -e /var/lib/simhost/booted ]; then
        touch /var/lib/simhost/booted
        /var/lib/simhost/user-data >/var/log/user-data.log 2>&1
    fi
    exec sleep infinity'
