// The part of BlueZ's D-Bus interface that a JK unit needs, through sd-bus, whose calls with variable arguments Swift cannot make.
// Paths are those of BlueZ's objects. Functions return 0 or a positive result, or a negative errno.
#ifndef PACKBRIDGE_CBLUEZ_H
#define PACKBRIDGE_CBLUEZ_H

#include <stddef.h>
#include <stdint.h>

#define BLUEZ_PATH 256

typedef struct bluez bluez;

/// The system bus, or the one that DBUS_SYSTEM_BUS_ADDRESS names.
int bluez_open(bluez **opened);
void bluez_close(bluez *bus);

/// The object of the device with this address (`AA:BB:CC:DD:EE:FF`); -ENODEV when BlueZ has not seen it.
int bluez_find_device(bluez *bus, const char *address, char path[BLUEZ_PATH]);
typedef void (*bluez_saw)(void *context, const char *address, const char *name);
/// Tells the devices with service FFE0 that BlueZ knows: JK units, and others with a serial module of the same kind.
int bluez_list_units(bluez *bus, bluez_saw saw, void *context);
/// Starts (1) or ends (0) the search for devices on the first adapter; -ENODEV without an adapter.
int bluez_discover(bluez *bus, int on);
/// Waits until the device is connected or the attempt has failed, at most half a minute.
int bluez_connect(bluez *bus, const char *device);
int bluez_disconnect(bluez *bus, const char *device);
/// 1 when the services of the connected device are known.
int bluez_services_resolved(bluez *bus, const char *device);
/// Characteristics FFE1 of the device: the one that notifies and the one that can be written. Some units have two of them.
int bluez_find_characteristics(bluez *bus, const char *device, char notify[BLUEZ_PATH], char write[BLUEZ_PATH]);
/// From now on `bluez_wait` tells the notifications of this characteristic and the end of the connection.
int bluez_subscribe(bluez *bus, const char *device, const char *notify);
void bluez_unsubscribe(bluez *bus);
int bluez_write(bluez *bus, const char *characteristic, const uint8_t *bytes, size_t count);

enum { BLUEZ_NOTHING = 0, BLUEZ_NOTIFICATION = 1, BLUEZ_DISCONNECTED = 2 };

/// Waits at most `milliseconds` for something to happen. A notification is copied to `value`; `count` is its length.
int bluez_wait(bluez *bus, int milliseconds, uint8_t *value, size_t capacity, size_t *count);

#endif
