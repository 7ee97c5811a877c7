/* SPDX-License-Identifier: ISC */

/*
 * tree: tree DIRECTORY PROCESSES SOCKETS: makes DIRECTORY/proc with so many
 * processes of one network namespace, each with so many connections.
 */

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char header[] = "  sl  local_address rem_address   st tx_queue "
    "rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

static void
make_directory(const char *name)
{
	if (mkdir(name, 0755) == -1)
		err(1, "%s", name);
}

static void
make_link(const char *text, const char *name)
{
	if (symlink(text, name) == -1)
		err(1, "%s", name);
}

static void
make_process(int pid, int sockets, FILE *tcp)
{
	char name[64], text[32];
	int i, inode;

	snprintf(name, sizeof name, "%d", pid);
	make_directory(name);
	snprintf(name, sizeof name, "%d/ns", pid);
	make_directory(name);
	snprintf(name, sizeof name, "%d/ns/net", pid);
	make_link("net:[4026531840]", name);
	snprintf(name, sizeof name, "%d/fd", pid);
	make_directory(name);
	for (i = 0; i < sockets; i++) {
		inode = 1000000 + pid * sockets + i;
		snprintf(name, sizeof name, "%d/fd/%d", pid, 3 + i);
		snprintf(text, sizeof text, "socket:[%d]", inode);
		make_link(text, name);
		fprintf(tcp, "%4d: 0100007F:%04X %02X00007F:0016 01 "
		    "00000000:00000000 00:00000000 00000000  1000        0 "
		    "%d 1 0000000000000000 20 4 30 10 -1\n", i,
		    inode & 0xffff, inode >> 16 & 0xff, inode);
	}
}

int
main(int argc, char *argv[])
{
	int i, processes, sockets;
	FILE *tcp;

	if (argc != 4)
		errx(2, "usage: tree directory processes sockets");
	processes = (int)strtol(argv[2], NULL, 10);
	sockets = (int)strtol(argv[3], NULL, 10);
	make_directory(argv[1]);
	if (chdir(argv[1]) == -1)
		err(1, "%s", argv[1]);
	make_directory("proc");
	if (chdir("proc") == -1)
		err(1, "proc");
	make_directory("net");
	tcp = fopen("net/tcp", "w");
	if (tcp == NULL)
		err(1, "tcp");
	fputs(header, tcp);
	for (i = 1; i <= processes; i++)
		make_process(i, sockets, tcp);
	if (fclose(tcp) == EOF || rename("net", "1/net") == -1)
		err(1, "tcp");
	return 0;
}
