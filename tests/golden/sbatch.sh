#!/bin/bash

# Parameters
#SBATCH --account=vision
#SBATCH --array=0-2%2
#SBATCH --comment=gta-shapes-TOKEN
#SBATCH --constraint=a100
#SBATCH --cpus-per-task=5
#SBATCH --gpus-per-node=2
#SBATCH --job-name=gta-shapes-TOKEN
#SBATCH --mem=60GB
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=2
#SBATCH --open-mode=append
#SBATCH --output=FOLDER/runs/sweeps/shapes/submissions/TOKEN/%A_%a_0_log.out
#SBATCH --partition=gpu
#SBATCH --qos=long
#SBATCH --requeue
#SBATCH --signal=USR2@120
#SBATCH --time=1440

# setup
gta_depth=${#BASH_SOURCE[@]}
trap 'code=$?; if [ ${#BASH_SOURCE[@]} -eq $gta_depth ]; then line=$BASH_COMMAND; [ $gta_depth -eq 0 ] || line=$(sed -n "${LINENO}p" "$0"); echo "setup failed with exit code $code: $line"; exit 1; fi' ERR
module load cuda
ulimit -n 4096
trap - ERR
export PYTHONPATH=FOLDER/runs/sweeps/shapes/code/TREE"${PYTHONPATH:+:$PYTHONPATH}"

# command
export SUBMITIT_EXECUTOR=slurm
srun --unbuffered --output FOLDER/runs/sweeps/shapes/submissions/TOKEN/%A_%a_%t_log.out --kill-on-bad-exit=1 --export=ALL --cpus-per-task=5 PYTHON -P -u -m launch.job.start FOLDER/runs/sweeps/shapes/submissions/TOKEN
