#!/bin/bash

# Parameters
#SBATCH --array=0-1%2
#SBATCH --comment=gta-toy-TOKEN
#SBATCH --cpus-per-task=1
#SBATCH --job-name=gta-toy-TOKEN
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --open-mode=append
#SBATCH --output=FOLDER/runs/sweeps/toy/submissions/TOKEN/%A_%a_0_log.out
#SBATCH --requeue
#SBATCH --signal=USR2@120
#SBATCH --time=1440

# setup
export PYTHONPATH=FOLDER/runs/sweeps/toy/code/TREE"${PYTHONPATH:+:$PYTHONPATH}"
set +eu
export GTA_REQUEUE=FOLDER/runs/sweeps/toy/submissions/TOKEN/requeue-"$SLURM_JOB_ID"
rm -f "$GTA_REQUEUE"
srun --ntasks="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 mkdir -p "/scratch/gta"

# command
export SUBMITIT_EXECUTOR=slurm
srun --unbuffered --output FOLDER/runs/sweeps/toy/submissions/TOKEN/%A_%a_%t_log.out --kill-on-bad-exit=1 --export=ALL --cpus-per-task=1 --container-image=docker://registry/gta:1 --container-mounts=/lustre/voc:/voc,FOLDER/data/toy:FOLDER/data/toy,FOLDER/runs:FOLDER/runs,FOLDER/splits:FOLDER/splits,/scratch/gta:/scratch/gta python3 -P -u -m launch.job.start FOLDER/runs/sweeps/toy/submissions/TOKEN


# teardown
code=$?
if [ -e "$GTA_REQUEUE" ]; then
  rm -f "$GTA_REQUEUE"
  job=$SLURM_JOB_ID
  [ -z "$SLURM_ARRAY_JOB_ID" ] || job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
  for try in 1 2 3 4 5 6; do scontrol requeue "$job" && sleep 30 && break; sleep 10; done
fi
exit $code