// libmosquitto as Debian's libmosquitto-dev installs it.
#pragma once
#include <mosquitto.h>
