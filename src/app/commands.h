/*
 * commands: what main calls, one function a command.
 *
 * argv[0] is the command's name, argv[argc] is NULL. Each returns the exit code of the program
 * (weir/err.h), reads and writes nothing after it returns, and is called once, from main's thread.
 */
#ifndef WEIR_APP_COMMANDS_H
#define WEIR_APP_COMMANDS_H

int weir_cmd_run(int argc, char **argv);
int weir_cmd_check(int argc, char **argv);
int weir_cmd_replay(int argc, char **argv);
int weir_cmd_rekey(int argc, char **argv);
int weir_cmd_generate(int argc, char **argv);
int weir_cmd_get(int argc, char **argv);
int weir_cmd_silence(int argc, char **argv);
int weir_cmd_version(int argc, char **argv);
int weir_cmd_demo(int argc, char **argv);
int weir_cmd_manual(int argc, char **argv);

#endif
