"""Stands in for sbatch, squeue, sacct, scontrol, scancel and srun: they read and write one state file, and run nothing.

Started as `python -IS fake_slurm_program.py STATE NAME arguments...` by the programs that
`tests.helpers.fake_slurm` puts on PATH. An option that it does not know is an error: a test must not
pass because a stand-in did not listen.
"""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import json
import os
import pathlib
import re
import sys
import time

LIVE = ("PENDING", "RUNNING", "COMPLETING", "SUSPENDED", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "SIGNALING")
SHORT = {"PENDING": "PD", "RUNNING": "R", "COMPLETING": "CG", "COMPLETED": "CD", "FAILED": "F", "TIMEOUT": "TO"}
SHORT |= {"CANCELLED": "CA", "PREEMPTED": "PR", "NODE_FAIL": "NF", "OUT_OF_MEMORY": "OOM", "REQUEUED": "RQ"}


NO_ANSWER = "error: Unable to contact slurm controller (connect failure)"


class Refused(Exception):
    """What a program says on stderr before it leaves with code 1."""


def main(path, name, arguments):
    with open(f"{path}.lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with open(path) as file:
            state = json.load(file)
        state["calls"].append([name, *arguments])
        try:
            if name in state["broken"]:
                raise Refused(state["broken"][name])
            if state["failing"].get(name):
                state["failing"][name] -= 1
                raise Refused(f"{name}: {NO_ANSWER}")
            if not state["up"] and name in ("sbatch", "squeue", "scancel"):
                raise Refused(f"{name}: {NO_ANSWER}")
            lines, code = PROGRAMS[name](state, arguments), 0
        except Refused as error:
            lines, code = [], 1
            print(error, file=sys.stderr)
        with open(f"{path}.new", "w") as file:
            json.dump(state, file)
        os.replace(f"{path}.new", path)  # whole at each moment: who asks may kill this program
    time.sleep(state["slow"].get(name, 0))
    for line in lines:
        print(line)
    return code


def parse(arguments, with_value, bare=(), other=False):
    """({option: value}, words); options by every name they have: {"format": "o"}."""
    names = {f"--{long}": long for long in with_value} | {
        f"-{short}": long for long, short in with_value.items() if short
    }
    flags = {f"--{long}": long for long in bare} | {f"-{short}": long for long, short in dict(bare).items() if short}
    given, words, rest = {}, [], list(arguments)
    while rest:
        word = rest.pop(0)
        key, equals, value = word.partition("=")
        if key in names and key.startswith("--"):
            given[names[key]] = value if equals else rest.pop(0)
        elif word[:2] in names and not word.startswith("--"):
            given[names[word[:2]]] = word[2:] or rest.pop(0)
        elif word in flags:
            given[flags[word]] = True
        elif re.fullmatch(r"-[A-Za-z]{2,}", word) and all(f"-{letter}" in flags for letter in word[1:]):
            given.update({flags[f"-{letter}"]: True for letter in word[1:]})
        elif word.startswith("-") and other:
            given[key.lstrip("-")] = value if equals else True
        elif word.startswith("-"):
            raise Refused(f"the stand-in does not know the option {word}")
        else:
            words.append(word)
    return given, words


def sbatch(state, arguments):
    known = {"array": "a", "job-name": "J", "comment": "", "output": "o", "partition": "p", "time": "t"}
    given, words = parse(arguments, known, {"parsable": "", "test-only": "", "hold": "H"}, other=True)
    text = pathlib.Path(words[0]).read_text() if words else given.get("wrap", "")
    inside = [line.split(None, 1)[1].strip() for line in text.splitlines() if line.startswith("#SBATCH ")]
    given = parse(inside, known, {"parsable": "", "test-only": "", "hold": "H"}, other=True)[0] | given
    given = {key: value.strip("'\"") if isinstance(value, str) else value for key, value in given.items()}
    if state["refuse"]:
        raise Refused(f"sbatch: error: {state['refuse']}")
    tasks = indices(given.get("array"), int(state["config"]["MaxArraySize"]))
    held = sum(fields["state"] in LIVE for fields in state["jobs"].values())
    if state["most_jobs"] is not None and held + max(1, len(tasks)) > state["most_jobs"]:
        policy = "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
        name = f"sbatch: error: {state['limit']}\n" if state["limit"] else ""
        raise Refused(f"{name}sbatch: error: Batch job submission failed: {policy}")
    number = state["next"]
    state["next"] += max(1, len(tasks))
    job = {
        "state": "PENDING", "reason": "Priority", "node": "", "restarts": 0, "exit": "0:0", "elapsed": 0,
        "name": given.get("job-name", "wrap"), "comment": given.get("comment", ""), "submit": time.time(),
        "partition": given.get("partition", "main"), "options": given, "gpus": 0, "forgotten": False, "accounted": None,
        "start": "N/A",
    }  # fmt: skip
    for task in tasks or [None]:
        state["jobs"][f"{number}" if task is None else f"{number}_{task}"] = dict(job)
    state["scripts"][str(number)] = text
    if state["crash_after_sbatch"]:  # the answer is lost, the job is not
        raise Refused("sbatch: error: Socket timed out on send/recv operation")
    return [*state["banner"], str(number) if given.get("parsable") else f"Submitted batch job {number}"]


def indices(written, most):
    """Task numbers of `--array=0-3,7%2`."""
    if not written:
        return []
    body = written.partition("%")[0]
    tasks = []
    for part in body.split(","):
        first, _, last = part.partition("-")
        tasks += range(int(first), int(last or first) + 1)
    if max(tasks) >= most:
        raise Refused("sbatch: error: Batch job submission failed: Invalid job array specification")
    return tasks


def squeue(state, arguments):
    known = {"format": "o", "Format": "O", "jobs": "j", "name": "n", "states": "t", "user": "u", "partition": "p"}
    given, words = parse(arguments, known, {"noheader": "h", "array": "r", "me": "", "all": "a"})
    if words:
        raise Refused(f"Unrecognized option: {words[0]}")
    wanted = [text.upper() for text in given.get("states", "").split(",") if text]
    if given.get("user") not in (None, getpass.getuser()):
        return []
    asked = given["jobs"].split(",") if "jobs" in given else None
    lines = []
    for job, fields in state["jobs"].items():
        if fields["forgotten"]:
            continue
        if "ALL" not in wanted and fields["state"] not in (wanted or LIVE):
            continue
        if asked is not None and not of(job, asked):
            continue
        if "name" in given and fields["name"] not in given["name"].split(","):
            continue
        lines.append(shown(job, fields, given))
    return lines if given.get("noheader") else ["HEADER", *lines]


def of(job, asked):
    return job in asked or job.partition("_")[0] in asked


def shown(job, fields, given):
    """One line of squeue, by --format (%i) or by --Format (JobArrayID:30)."""
    parent, _, task = job.partition("_")
    values = {
        "i": job, "A": str(int(parent) + int(task or 0)), "F": parent, "K": task or "N/A", "T": fields["state"],
        "t": SHORT.get(fields["state"], "??"), "r": fields["reason"] or "None", "N": fields["node"],
        "j": fields["name"],
        "k": fields["comment"] or "(null)", "u": getpass.getuser(), "P": fields["partition"],
        "M": clock(fields["elapsed"]), "R": fields["node"] or f"({fields['reason']})", "V": stamp(fields["submit"]),
        "D": "1", "C": "1",
        "restarts": str(fields["restarts"]), "waited": str(waited(fields["exit"])),
        "l": fields["options"].get("time", "UNLIMITED"), "S": fields.get("start", "N/A"), "B": fields["node"] or "n/a",
    }  # fmt: skip
    if "Format" not in given:
        return re.sub(r"%\.?\d*([A-Za-z])", lambda match: values[match[1]], given.get("format", "%i %T %r %N"))
    long = {
        "jobarrayid": "i", "jobid": "A", "arrayjobid": "F", "arraytaskid": "K", "state": "T", "statecompact": "t",
        "reason": "r", "nodelist": "N", "name": "j", "comment": "k", "username": "u", "partition": "P", "timeused": "M",
        "reasonlist": "R", "submittime": "V", "timelimit": "l", "starttime": "S", "batchhost": "B",
        "restartcnt": "restarts", "exit_code": "waited",
    }  # fmt: skip
    line = ""
    for part in given["Format"].split(","):
        name, colon, size = part.partition(":")
        match = re.fullmatch(r"\.?(\d*)(.*)", size)
        value = values[long[name.lower()]]
        width = int(match[1] or 0) if match and colon else 0 if colon else 20
        line += (value[:width].ljust(width) if width else value) + (match[2] if match else "")
    return line


def waited(exit_code):
    """The wait status of sacct's `code:signal`."""
    code, signal = map(int, exit_code.split(":"))
    return code << 8 | signal


def sacct(state, arguments):
    if not state["accounting"]:
        raise Refused("Slurm accounting storage is disabled")
    known = {
        "format": "o", "jobs": "j", "starttime": "S", "endtime": "E", "name": "", "state": "s", "user": "u",
        "delimiter": "", "units": "",
    }  # fmt: skip
    bare = {"allocations": "X", "noheader": "n", "parsable2": "P", "parsable": "p", "duplicates": "D", "array": ""}
    given, _ = parse(arguments, known, bare)
    names = given.get("format", "JobID,State,ExitCode").split(",")
    asked = given["jobs"].split(",") if "jobs" in given else None
    lines = [] if given.get("noheader") else ["|".join(names)]
    for job, fields in state["jobs"].items():
        if "name" in given and fields["name"] not in given["name"].split(","):
            continue
        if asked is None or of(job, asked):
            parts = [account(job, fields, name.partition("%")[0].lower()) for name in names]
            lines.append(given.get("delimiter", "|").join(parts) + ("|" if given.get("parsable") else ""))
    return lines


def account(job, fields, name):
    parent, _, task = job.partition("_")
    state = fields["accounted"] or fields["state"]
    over = state not in LIVE
    values = {
        "jobid": job, "jobidraw": str(int(parent) + int(task or 0)), "jobname": fields["name"],
        "state": state + (" by 0" if state == "CANCELLED" else ""), "exitcode": fields["exit"],
        "derivedexitcode": "0:0", "elapsed": clock(fields["elapsed"]), "elapsedraw": str(fields["elapsed"]),
        "nodelist": fields["node"] or "None assigned", "reason": fields["reason"] or "None",
        "alloctres": f"billing=1,cpu=1{',gres/gpu=' + str(fields['gpus']) if fields['gpus'] else ''},node=1",
        "start": fields.get("start", "Unknown"), "end": fields.get("end", "Unknown") if over else "Unknown",
        "submit": stamp(fields["submit"]), "comment": fields["comment"], "partition": fields["partition"],
        "user": getpass.getuser(), "restarts": str(fields["restarts"]), "nnodes": "1", "alloccpus": "1", "ncpus": "1",
        "timelimit": fields["options"].get("time", "UNLIMITED"),
    }  # fmt: skip
    return values[name]


def clock(seconds):
    return f"{seconds // 3600:02d}:{seconds % 3600 // 60:02d}:{seconds % 60:02d}"


def stamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(seconds))


def scontrol(state, arguments):
    words = [word for word in arguments if word not in ("-o", "--oneliner", "-d", "--details")]
    if words[:1] == ["ping"]:
        return [f"Slurmctld(primary) at here is {'UP' if state['up'] else 'DOWN'}"]
    if not state["up"]:
        raise Refused(f"slurm_load_ctl_conf error: {NO_ANSWER}")
    if words[:2] == ["show", "config"]:
        return [f"{key:<24}= {value}" for key, value in state["config"].items()]
    if words[:2] == ["show", "hostnames"]:
        return words[2].split(",")
    if words[:2] == ["show", "job"]:
        return [
            f"JobId={job} ArrayJobId={job.partition('_')[0]} JobName={fields['name']} JobState={fields['state']} "
            f"Reason={fields['reason'] or 'None'} Restarts={fields['restarts']} ExitCode={fields['exit']} "
            f"NodeList={fields['node']} Comment={fields['comment']}"
            for job, fields in state["jobs"].items()
            if of(job, words[2:] or [job])
        ]
    if words[:1] == ["requeue"]:
        for job, fields in chosen(state, words[1].split(",")):
            if fields["state"] not in LIVE and not state["requeue_finished"]:
                raise Refused(f"Job has already finished for job {job}")
            fields.update(state="PENDING", reason="BeginTime", node="", restarts=fields["restarts"] + 1)
        return []
    if words[:1] == ["update"]:
        given = dict(word.split("=", 1) for word in words[1:])
        for job, fields in chosen(state, given.pop("JobId").split(",")):
            plain = "Priority" in given and not state["operator"]  # as Slurm 22.05 answers who is none
            if plain and fields["reason"].startswith("JobHeld"):
                raise Refused("Job is in held state, pending scheduler release")
            fields.setdefault("updated", {}).update(given)
            if plain:
                raise Refused(f"Changes to job priority are not persistent, change nice instead for job {job}")
        return []
    if words[:1] in (["uhold"], ["release"]):
        for _, fields in chosen(state, words[1].split(",")):
            if fields["reason"] == "JobHeldAdmin":
                raise Refused("Access/permission denied")
            fields.update(state="PENDING", reason="JobHeldUser" if words[0] == "uhold" else "Priority")
        return []
    raise Refused(f"the stand-in does not know scontrol {' '.join(words)}")


def scancel(state, arguments):
    known = {"name": "n", "user": "u", "signal": "s", "state": "t"}
    given, words = parse(arguments, known, {"full": "f", "batch": "b", "quiet": "Q", "verbose": "v", "me": ""})
    names = [part for word in words for part in word.split(",")]
    if "name" in given:
        names += [job for job, fields in state["jobs"].items() if fields["name"] == given["name"]]
    for _, fields in chosen(state, names, strict=False):
        if fields["state"] in LIVE and "signal" not in given:
            fields.update(state="CANCELLED", reason="None", exit="0:15")
        elif fields["state"] in LIVE:
            fields.setdefault("signals", []).append(given["signal"])
    return []


def chosen(state, names, strict=True):
    found = [(job, fields) for job, fields in state["jobs"].items() if of(job, names)]
    if strict and not found:
        raise Refused("Invalid job id specified")
    return found


def srun(state, arguments):
    raise Refused("srun: error: the stand-in runs nothing")


PROGRAMS = {
    "sbatch": sbatch, "squeue": squeue, "sacct": sacct, "scontrol": scontrol, "scancel": scancel, "srun": srun,
}  # fmt: skip

if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
