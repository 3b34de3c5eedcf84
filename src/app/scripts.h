/*
 * scripts: the Lua that runs inside Redis. Constant texts; each says its KEYS and ARGV.
 */
#ifndef WEIR_APP_SCRIPTS_H
#define WEIR_APP_SCRIPTS_H

extern const char weir_script_claim[];   /* store: a partition becomes ours */
extern const char weir_script_commit[];  /* store: a partition's changes and its offset */
extern const char weir_script_lease[];   /* lease: take or keep the evaluator's lease */
extern const char weir_script_publish[]; /* publish: windows and alerts, one slide */

#endif
