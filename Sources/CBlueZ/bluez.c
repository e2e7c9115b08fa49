#include "CBlueZ.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <systemd/sd-bus.h>

static const char *const service = "org.bluez";
static const char *const service_uuid = "0000ffe0-0000-1000-8000-00805f9b34fb";
static const char *const characteristic_uuid = "0000ffe1-0000-1000-8000-00805f9b34fb";

struct bluez {
    sd_bus *bus;
    sd_bus_slot *notifications, *connection;
    char device[BLUEZ_PATH];
    // What the handlers have seen since bluez_wait was called.
    uint8_t value[512];
    size_t count;
    int happened;
};

int bluez_open(bluez **opened) {
    bluez *bus = calloc(1, sizeof *bus);
    if (!bus) return -ENOMEM;
    int result = sd_bus_open_system(&bus->bus);
    if (result < 0) {
        free(bus);
        return result;
    }
    *opened = bus;
    return 0;
}

void bluez_close(bluez *bus) {
    if (!bus) return;
    bluez_unsubscribe(bus);
    sd_bus_flush_close_unref(bus->bus);
    free(bus);
}

// MARK: All objects

// Looks at one property. Returns 1 when it has read the variant, 0 to have it skipped.
typedef int (*visitor)(void *context, const char *path, const char *interface, const char *property, sd_bus_message *message);

static int visit_properties(sd_bus_message *m, const char *path, const char *interface, visitor visit, void *context) {
    int result = sd_bus_message_enter_container(m, 'a', "{sv}");
    if (result < 0) return result;
    while ((result = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
        const char *property;
        if ((result = sd_bus_message_read(m, "s", &property)) < 0) return result;
        result = visit(context, path, interface, property, m);
        if (result == 0) result = sd_bus_message_skip(m, "v");
        if (result < 0 || (result = sd_bus_message_exit_container(m)) < 0) return result;
    }
    return result < 0 ? result : sd_bus_message_exit_container(m);
}

static int visit_interfaces(sd_bus_message *m, const char *path, visitor visit, void *context) {
    int result = sd_bus_message_enter_container(m, 'a', "{sa{sv}}");
    if (result < 0) return result;
    while ((result = sd_bus_message_enter_container(m, 'e', "sa{sv}")) > 0) {
        const char *interface;
        if ((result = sd_bus_message_read(m, "s", &interface)) < 0) return result;
        if ((result = visit_properties(m, path, interface, visit, context)) < 0) return result;
        if ((result = sd_bus_message_exit_container(m)) < 0) return result;
    }
    return result < 0 ? result : sd_bus_message_exit_container(m);
}

static int visit_objects(bluez *bus, visitor visit, void *context) {
    sd_bus_message *m = NULL;
    int result = sd_bus_call_method(
        bus->bus, service, "/", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", NULL, &m, "");
    if (result < 0) return result;
    result = sd_bus_message_enter_container(m, 'a', "{oa{sa{sv}}}");
    while (result >= 0 && (result = sd_bus_message_enter_container(m, 'e', "oa{sa{sv}}")) > 0) {
        const char *path;
        if ((result = sd_bus_message_read(m, "o", &path)) < 0) break;
        if ((result = visit_interfaces(m, path, visit, context)) < 0) break;
        result = sd_bus_message_exit_container(m);
    }
    sd_bus_message_unref(m);
    return result < 0 ? result : 0;
}

static void keep(char path[BLUEZ_PATH], const char *found) { snprintf(path, BLUEZ_PATH, "%s", found); }

struct device_search {
    const char *address;
    char *path;
};

static int see_device(void *context, const char *path, const char *interface, const char *property, sd_bus_message *m) {
    struct device_search *search = context;
    if (strcmp(interface, "org.bluez.Device1") || strcmp(property, "Address")) return 0;
    const char *address;
    int result = sd_bus_message_read(m, "v", "s", &address);
    if (result < 0) return result;
    if (!strcasecmp(address, search->address)) keep(search->path, path);
    return 1;
}

int bluez_find_device(bluez *bus, const char *address, char path[BLUEZ_PATH]) {
    path[0] = 0;
    struct device_search search = {address, path};
    int result = visit_objects(bus, see_device, &search);
    return result < 0 ? result : path[0] ? 0 : -ENODEV;
}

struct unit_list {
    bluez_saw saw;
    void *context;
    // Properties of one object come together, in any order.
    char path[BLUEZ_PATH], address[18], name[64];
    int is_unit;
};

static void tell(struct unit_list *list) {
    if (list->is_unit && list->address[0]) list->saw(list->context, list->address, list->name);
    list->address[0] = list->name[0] = 0;
    list->is_unit = 0;
}

static int see_unit(void *context, const char *path, const char *interface, const char *property, sd_bus_message *m) {
    struct unit_list *list = context;
    if (strcmp(interface, "org.bluez.Device1")) return 0;
    if (strcmp(path, list->path)) {
        tell(list);
        keep(list->path, path);
    }
    const char *text;
    int result;
    if (!strcmp(property, "Address") || !strcmp(property, "Alias")) {
        if ((result = sd_bus_message_read(m, "v", "s", &text)) < 0) return result;
        if (property[1] == 'd') snprintf(list->address, sizeof list->address, "%s", text);
        else snprintf(list->name, sizeof list->name, "%s", text);
        return 1;
    }
    if (strcmp(property, "UUIDs")) return 0;
    result = sd_bus_message_enter_container(m, 'v', "as");
    if (result < 0 || (result = sd_bus_message_enter_container(m, 'a', "s")) < 0) return result;
    while ((result = sd_bus_message_read(m, "s", &text)) > 0)
        if (!strcasecmp(text, service_uuid)) list->is_unit = 1;
    if (result < 0 || (result = sd_bus_message_exit_container(m)) < 0) return result;
    return (result = sd_bus_message_exit_container(m)) < 0 ? result : 1;
}

int bluez_list_units(bluez *bus, bluez_saw saw, void *context) {
    struct unit_list list = {saw, context, "", "", "", 0};
    int result = visit_objects(bus, see_unit, &list);
    if (result >= 0) tell(&list);
    return result;
}

static int see_adapter(void *context, const char *path, const char *interface, const char *property, sd_bus_message *m) {
    (void)property, (void)m;
    char *found = context;
    if (!strcmp(interface, "org.bluez.Adapter1") && !found[0]) keep(found, path);
    return 0;
}

int bluez_discover(bluez *bus, int on) {
    char adapter[BLUEZ_PATH] = "";
    int result = visit_objects(bus, see_adapter, adapter);
    if (result < 0) return result;
    if (!adapter[0]) return -ENODEV;
    return sd_bus_call_method(
        bus->bus, service, adapter, "org.bluez.Adapter1", on ? "StartDiscovery" : "StopDiscovery", NULL, NULL, "");
}

struct characteristic_search {
    const char *device;
    char *notify, *write;
    // Properties of one object come together; its UUID may come after its flags.
    char path[BLUEZ_PATH];
    int is_ours, can_notify, can_write;
};

static void settle(struct characteristic_search *search) {
    if (search->is_ours && search->can_notify && !search->notify[0]) keep(search->notify, search->path);
    if (search->is_ours && search->can_write && !search->write[0]) keep(search->write, search->path);
}

static int see_characteristic(
    void *context, const char *path, const char *interface, const char *property, sd_bus_message *m) {
    struct characteristic_search *search = context;
    if (strcmp(interface, "org.bluez.GattCharacteristic1")) return 0;
    if (strncmp(path, search->device, strlen(search->device))) return 0;
    if (strcmp(path, search->path)) {
        settle(search);
        keep(search->path, path);
        search->is_ours = search->can_notify = search->can_write = 0;
    }
    if (!strcmp(property, "UUID")) {
        const char *uuid;
        int result = sd_bus_message_read(m, "v", "s", &uuid);
        if (result < 0) return result;
        search->is_ours = !strcasecmp(uuid, characteristic_uuid);
        return 1;
    }
    if (strcmp(property, "Flags")) return 0;
    int result = sd_bus_message_enter_container(m, 'v', "as");
    if (result < 0 || (result = sd_bus_message_enter_container(m, 'a', "s")) < 0) return result;
    const char *flag;
    while ((result = sd_bus_message_read(m, "s", &flag)) > 0) {
        if (!strcmp(flag, "notify")) search->can_notify = 1;
        if (!strcmp(flag, "write") || !strcmp(flag, "write-without-response")) search->can_write = 1;
    }
    if (result < 0 || (result = sd_bus_message_exit_container(m)) < 0) return result;
    return (result = sd_bus_message_exit_container(m)) < 0 ? result : 1;
}

int bluez_find_characteristics(bluez *bus, const char *device, char notify[BLUEZ_PATH], char write[BLUEZ_PATH]) {
    notify[0] = write[0] = 0;
    struct characteristic_search search = {device, notify, write, "", 0, 0, 0};
    int result = visit_objects(bus, see_characteristic, &search);
    if (result < 0) return result;
    settle(&search);
    return notify[0] && write[0] ? 0 : -ENOENT;
}

// MARK: One device

int bluez_connect(bluez *bus, const char *device) {
    sd_bus_message *call = NULL;
    int result = sd_bus_message_new_method_call(bus->bus, &call, service, device, "org.bluez.Device1", "Connect");
    if (result >= 0) result = sd_bus_call(bus->bus, call, 30 * 1000000ULL, NULL, NULL);
    sd_bus_message_unref(call);
    return result;
}

int bluez_disconnect(bluez *bus, const char *device) {
    return sd_bus_call_method(bus->bus, service, device, "org.bluez.Device1", "Disconnect", NULL, NULL, "");
}

int bluez_services_resolved(bluez *bus, const char *device) {
    int resolved = 0;
    int result = sd_bus_get_property_trivial(
        bus->bus, service, device, "org.bluez.Device1", "ServicesResolved", NULL, 'b', &resolved);
    return result < 0 ? result : resolved;
}

static int take_value(bluez *bus, sd_bus_message *m) {
    const void *bytes;
    size_t count;
    int result = sd_bus_message_enter_container(m, 'v', "ay");
    if (result < 0 || (result = sd_bus_message_read_array(m, 'y', &bytes, &count)) < 0) return result;
    if (count > sizeof bus->value) count = sizeof bus->value;
    memcpy(bus->value, bytes, count);
    bus->count = count;
    bus->happened = BLUEZ_NOTIFICATION;
    return (result = sd_bus_message_exit_container(m)) < 0 ? result : 1;
}

static int see_change(void *context, const char *path, const char *interface, const char *property, sd_bus_message *m) {
    bluez *bus = context;
    if (!strcmp(interface, "org.bluez.GattCharacteristic1") && !strcmp(property, "Value")) return take_value(bus, m);
    if (strcmp(path, bus->device) || strcmp(property, "Connected")) return 0;
    int connected;
    int result = sd_bus_message_read(m, "v", "b", &connected);
    if (result < 0) return result;
    if (!connected) bus->happened = BLUEZ_DISCONNECTED;
    return 1;
}

static int changed(sd_bus_message *m, void *context, sd_bus_error *error) {
    (void)error;
    const char *interface;
    if (sd_bus_message_read(m, "s", &interface) < 0) return 0;
    visit_properties(m, sd_bus_message_get_path(m), interface, see_change, context);
    return 0;
}

int bluez_subscribe(bluez *bus, const char *device, const char *notify) {
    bluez_unsubscribe(bus);
    keep(bus->device, device);
    const char *properties = "org.freedesktop.DBus.Properties";
    int result = sd_bus_match_signal(
        bus->bus, &bus->notifications, service, notify, properties, "PropertiesChanged", changed, bus);
    if (result >= 0)
        result = sd_bus_match_signal(
            bus->bus, &bus->connection, service, device, properties, "PropertiesChanged", changed, bus);
    if (result >= 0)
        result = sd_bus_call_method(
            bus->bus, service, notify, "org.bluez.GattCharacteristic1", "StartNotify", NULL, NULL, "");
    return result;
}

void bluez_unsubscribe(bluez *bus) {
    bus->notifications = sd_bus_slot_unref(bus->notifications);
    bus->connection = sd_bus_slot_unref(bus->connection);
    bus->happened = BLUEZ_NOTHING;
}

int bluez_write(bluez *bus, const char *characteristic, const uint8_t *bytes, size_t count) {
    sd_bus_message *call = NULL;
    int result = sd_bus_message_new_method_call(
        bus->bus, &call, service, characteristic, "org.bluez.GattCharacteristic1", "WriteValue");
    if (result >= 0) result = sd_bus_message_append_array(call, 'y', bytes, count);
    if (result >= 0) result = sd_bus_message_append(call, "a{sv}", 1, "type", "s", "command");
    if (result >= 0) result = sd_bus_call(bus->bus, call, 5 * 1000000ULL, NULL, NULL);
    sd_bus_message_unref(call);
    return result;
}

int bluez_wait(bluez *bus, int milliseconds, uint8_t *value, size_t capacity, size_t *count) {
    int result, waited = 0;
    *count = 0;
    bus->happened = BLUEZ_NOTHING;
    for (;;) {
        while ((result = sd_bus_process(bus->bus, NULL)) > 0 && !bus->happened) {}
        if (result < 0) return result;
        if (bus->happened || waited) break;
        if ((result = sd_bus_wait(bus->bus, (uint64_t)(milliseconds < 0 ? 0 : milliseconds) * 1000)) < 0)
            return result == -EINTR ? BLUEZ_NOTHING : result;
        waited = 1;
    }
    if (bus->happened == BLUEZ_NOTIFICATION) {
        *count = bus->count < capacity ? bus->count : capacity;
        memcpy(value, bus->value, *count);
    }
    return bus->happened;
}
