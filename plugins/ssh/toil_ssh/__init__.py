"""The transport `paramiko`: nodes over SSH, without programs."""
